import { createServer, type AddressInfo } from 'node:net'

// A downstream API that costs as little as a server can, so that what is measured is the client: it finds the end of each
// request, looks for a token in it, and writes an answer that was made before. It listens on one port per body.

const small = JSON.stringify([1, 2, 3].map(id => ({ id, title: 'a thing to do before the day ends', done: id === 2, owner: 'somebody@todo.example' })))
const answers = {
  small: answer('200 OK', 'application/json; charset=utf-8', Buffer.from(small)),
  large: answer('200 OK', 'application/octet-stream', Buffer.alloc(256 * 1024, 'large ')),
}
const unauthorized = answer('401 Unauthorized', 'application/json', Buffer.from('{}'))

function answer (status: string, contentType: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\ncontent-type: ${contentType}\r\ncontent-length: ${body.length}\r\n\r\n`), body])
}

function listen (body: Buffer): Promise<string> {
  const server = createServer({ noDelay: true }, socket => {
    let rest = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', chunk => {
      let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      for (let end = data.indexOf('\r\n\r\n'); end >= 0; end = data.indexOf('\r\n\r\n')) {
        socket.write(data.subarray(0, end).includes('Bearer eyJ') ? body : unauthorized)
        data = data.subarray(end + 4)
      }
      rest = data
    })
  })
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`))
  })
}

process.on('disconnect', () => process.exit())
process.send!({ small: await listen(answers.small), large: await listen(answers.large) })
