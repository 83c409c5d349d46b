import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

/**
 * Draws anew at each of several signals; `UseSignal` does so at one.
 *
 * @param signals Always the same ones, in the same order.
 */
export function UseSignals(props: {
  signals: readonly ISignal<unknown, unknown>[];
  children: () => React.ReactNode;
}): JSX.Element {
  const [, draw] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    const connected = props.signals;
    const onSignal = () => draw();
    connected.forEach(signal => signal.connect(onSignal));
    // What was told between the first drawing and now.
    draw();
    return () => connected.forEach(signal => signal.disconnect(onSignal));
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, props.signals);
  return <>{props.children()}</>;
}
