import * as React from 'react';

/**
 * Names and values in two columns; what has no value is left out.
 */
export function Facts(props: {
  items: readonly (readonly [string, React.ReactNode])[];
}): JSX.Element | null {
  const items = props.items.filter(([, value]) => Boolean(value));
  if (items.length === 0) {
    return null;
  }
  return (
    <dl className="jp-KaleFacts">
      {items.map(([name, value]) => (
        <React.Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </React.Fragment>
      ))}
    </dl>
  );
}
