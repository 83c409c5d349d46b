/**
 * The items by labels of which no two are equal, in their order. Where the names of several are equal, the first of
 * `more` that tells them apart is added in parentheses; the last of it differs for every item.
 */
export function labelled<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  more: readonly ((item: T) => string)[]
): Map<string, T> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = nameOf(item);
    groups.set(name, [...(groups.get(name) ?? []), item]);
  }
  const suffixes = new Map<T, string>();
  for (const group of groups.values()) {
    const tells = more.find(of => new Set(group.map(of)).size === group.length);
    for (const item of group) {
      suffixes.set(item, group.length > 1 && tells ? ` (${tells(item)})` : '');
    }
  }
  const labels = new Map<string, T>();
  for (const item of items) {
    const suffix = suffixes.get(item) ?? '';
    let label = nameOf(item) + suffix;
    while (labels.has(label)) {
      label += suffix || ` (${more[more.length - 1](item)})`;
    }
    labels.set(label, item);
  }
  return labels;
}
