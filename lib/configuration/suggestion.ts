const MAX_DISTANCE = 2

/** The known name that `name` was probably meant to be, in the same style of first letter; `undefined` when none is close. */
export function suggestion (name: string, known: readonly string[]): string | undefined {
  const wanted = name.trim().toLowerCase()
  let best: string | undefined
  let bestDistance = Math.min(MAX_DISTANCE, Math.floor(wanted.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(wanted, candidate.toLowerCase())
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best === undefined ? undefined : inStyleOf(name, best)
}

/** PascalCase, as .NET writes keys, when `name` begins with a capital letter. */
export function inStyleOf (name: string, key: string): string {
  return /^[A-Z]/.test(name) ? key.charAt(0).toUpperCase() + key.slice(1) : key
}

/** How many letters must be inserted, removed, replaced or swapped with their neighbour (optimal string alignment distance). */
function editDistance (a: string, b: string): number {
  let [beforeLast, last]: number[][] = [[], Array.from({ length: b.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let distance = Math.min(last![column]! + 1, current[column - 1]! + 1, last![column - 1]! + (same ? 0 : 1))
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) distance = Math.min(distance, beforeLast![column - 2]! + 1)
      current.push(distance)
    }
    [beforeLast, last] = [last, current]
  }
  return last!.at(-1)!
}
