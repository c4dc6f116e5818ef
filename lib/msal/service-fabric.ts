import { TLSSocket } from 'node:tls'
import { Agent, buildConnector } from 'undici'

/**
 * Connections to the one server whose certificate has this thumbprint: Service Fabric's endpoint is on another machine,
 * and its certificate is signed by the cluster itself, so that no authority vouches for it.
 * Nothing is sent before the certificate has been seen.
 *
 * @param thumbprint SHA-1 of the certificate, in hexadecimal, as Service Fabric gives it to its processes
 * @see https://learn.microsoft.com/azure/service-fabric/how-to-managed-identity-service-fabric-app-code
 */
export function serviceFabricDispatcher (thumbprint: string): Agent {
  const connect = buildConnector({ rejectUnauthorized: false })
  return new Agent({
    connect: (options, callback) => connect(options, (...[error, socket]) => {
      if (error !== null) return callback(error, null)
      if (!(socket instanceof TLSSocket) || isCertifiedBy(socket, thumbprint)) return callback(null, socket)

      socket.destroy()
      callback(new Error('its certificate is not the one that IDENTITY_SERVER_THUMBPRINT names'), null)
    })
  })
}

function isCertifiedBy (socket: TLSSocket, thumbprint: string): boolean {
  return socket.getPeerCertificate().fingerprint.replaceAll(':', '').toLowerCase() === thumbprint.toLowerCase()
}
