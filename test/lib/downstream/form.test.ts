import t from 'tap'
import { FormData as UndiciFormData } from 'undici'
import { copiedForm, isForm, undiciForm } from '../../../lib/downstream/form.ts'

t.test('a form is known whoever made it, and nothing else is taken for one', async t => {
  class OwnForm extends FormData {}
  for (const form of [new FormData(), new UndiciFormData(), new OwnForm()]) t.ok(isForm(form))
  for (const other of [undefined, null, '', 'FormData', {}, new URLSearchParams(), new Map(), { [Symbol.toStringTag]: 'FormData' }]) t.notOk(isForm(other))
})

t.test('a form of undici is sent as it is, and any other as a copy; copies say the same in the same order', async t => {
  const own = new UndiciFormData()
  t.equal(undiciForm(own, UndiciFormData), own)

  const form = new FormData()
  form.append('a', '1')
  form.append('b', new File(['content'], 'name.txt', { type: 'text/plain' }))
  form.append('a', '2')
  const copy = undiciForm(form, UndiciFormData)
  t.ok(copy instanceof UndiciFormData)
  const entries = [['a', '1'], ['b', { name: 'name.txt', type: 'text/plain', size: 7 }], ['a', '2']]
  t.match([...copy], entries)

  for (const given of [form, copy]) {
    const ofNode = copiedForm(given)
    t.ok(ofNode instanceof FormData)
    t.not(ofNode, given)
    t.match([...ofNode], entries)
  }
})
