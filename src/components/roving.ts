import * as React from 'react';

/**
 * Marks the controls of a row that the arrow keys go through.
 */
const ROVING = 'data-roving';

/**
 * Makes one tab stop of a row: of its marked controls the last used can be tabbed to, the arrow keys, Home and End go to
 * the others, and up and down to the rows beside. Where the focused one goes, or cannot be pressed any more, its row
 * keeps the focus.
 *
 * @returns What the row's element listens with.
 */
export function useRoving(
  row: React.RefObject<HTMLElement>
): Pick<React.DOMAttributes<HTMLElement>, 'onKeyDown' | 'onFocus' | 'onBlur'> {
  const current = React.useRef<HTMLElement | null>(null);
  const isFocused = React.useRef(false);

  const select = (controls: HTMLElement[], chosen: HTMLElement | undefined) => {
    current.current = chosen ?? null;
    for (const control of controls) {
      control.tabIndex = control === chosen ? 0 : -1;
    }
  };

  // After every drawing: buttons come and go with the phase.
  React.useLayoutEffect(() => {
    const controls = controlsOf(row.current);
    const stays = current.current && controls.includes(current.current);
    select(controls, stays && current.current ? current.current : controls[0]);
    const { activeElement, body } = document;
    const isLost =
      activeElement === body ||
      (activeElement instanceof HTMLButtonElement && activeElement.disabled);
    if (isFocused.current && isLost && !stays) {
      current.current?.focus();
    }
  });

  return {
    onFocus: ({ target }) => {
      const controls = controlsOf(row.current);
      if (controls.includes(target)) {
        select(controls, target);
      }
      isFocused.current = controls.includes(target);
    },
    onBlur: ({ relatedTarget }) => {
      // What can no longer be pressed takes the focus to nowhere.
      isFocused.current &&= !relatedTarget;
    },
    onKeyDown: event => {
      const controls = controlsOf(row.current);
      const at = controls.indexOf(event.target as HTMLElement);
      const to = at < 0 ? null : goal(event, controls, at);
      if (to) {
        event.preventDefault();
        event.stopPropagation();
        to.focus();
      }
    }
  };
}

/**
 * The control that a key leads to from another: sideways in its row, up and down in the rows beside; null for none.
 */
function goal(
  event: React.KeyboardEvent,
  controls: readonly HTMLElement[],
  at: number
): HTMLElement | null {
  if (event.ctrlKey || event.altKey || event.metaKey) {
    return null;
  }
  const { currentTarget: row } = event;
  switch (event.key) {
    case 'ArrowRight':
      return controls[at + 1] ?? null;
    case 'ArrowLeft':
      return controls[at - 1] ?? null;
    case 'ArrowDown':
      return stopOf(row.nextElementSibling);
    case 'ArrowUp':
      return stopOf(row.previousElementSibling);
    case 'Home':
      return controls[0];
    case 'End':
      return controls[controls.length - 1];
    default:
      return null;
  }
}

/**
 * A row's tab stop. What was it before it could not be pressed any more is none.
 */
function stopOf(row: Element | null): HTMLElement | null {
  return (
    row?.querySelector<HTMLElement>(
      `[${ROVING}][tabindex='0']:not(:disabled)`
    ) ?? null
  );
}

function controlsOf(row: HTMLElement | null): HTMLElement[] {
  return [
    ...(row?.querySelectorAll<HTMLElement>(`[${ROVING}]:not(:disabled)`) ?? [])
  ];
}

/**
 * Gives the focus to a neighbour of a row that goes away while it has it, or to its section's head where no row is left.
 *
 * @param list The rows' element; each row's first control is what gets the focus.
 * @param keys The rows' keys, in their order.
 */
export function useNeighbourFocus(
  list: React.RefObject<HTMLElement>,
  keys: readonly string[]
): Pick<React.DOMAttributes<HTMLElement>, 'onFocus' | 'onBlur'> {
  const focused = React.useRef<string | null>(null);
  // The list may go with its last row.
  const section = React.useRef<Element | null>(null);
  const before = React.useRef<readonly string[]>(keys);
  React.useLayoutEffect(() => {
    const key = focused.current;
    const was = before.current;
    before.current = keys;
    if (key === null || keys.includes(key) || !was.includes(key)) {
      return;
    }
    focused.current = null;
    if (document.activeElement !== document.body) {
      return;
    }
    const place = was.slice(0, was.indexOf(key)).filter(k => keys.includes(k));
    const row = list.current?.children[Math.min(place.length, keys.length - 1)];
    (row ?? section.current)?.querySelector<HTMLElement>('button')?.focus();
  });
  return {
    onFocus: event => {
      const rows = [...(list.current?.children ?? [])];
      const index = rows.findIndex(row => row.contains(event.target));
      focused.current = before.current[index] ?? null;
      section.current = list.current?.closest('section') ?? null;
    },
    onBlur: ({ relatedTarget }) => {
      // A row that goes takes the focus to nowhere.
      if (relatedTarget) {
        focused.current = null;
      }
    }
  };
}
