import type { FormData } from 'undici'

/** A form of Node, or one of undici, which is another class. */
export type Form = globalThis.FormData | FormData

/** Whether `content` is a form, whoever made it: undici need not be loaded to tell. */
export function isForm (content: unknown): content is Form {
  return typeof content === 'object' && content !== null && (content as Form)[Symbol.toStringTag] === 'FormData' && Symbol.iterator in content
}

/** A form of Node that says the same: what hooks add to it is not in the caller's own. */
export function copiedForm (form: Form): Form {
  return filled(new globalThis.FormData(), form)
}

/** The form in undici's own class: it sends no other. */
export function undiciForm (form: Form, UndiciFormData: typeof FormData): FormData {
  return form instanceof UndiciFormData ? form : filled(new UndiciFormData(), form)
}

function filled<T extends Form> (copy: T, form: Form): T {
  for (const [name, value] of form) copy.append(name, value)
  return copy
}
