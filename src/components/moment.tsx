import { Time } from '@jupyterlab/coreutils';
import * as React from 'react';

/**
 * How long ago a moment was, with the moment itself in the tooltip. Nothing for 0.
 */
export function Moment(props: {
  /**
   * Seconds since the epoch.
   */
  at: number;
}): JSX.Element | null {
  if (props.at <= 0) {
    return null;
  }
  const date = new Date(props.at * 1000);
  return (
    <time dateTime={date.toISOString()} title={Time.format(date)}>
      {ago(props.at)}
    </time>
  );
}

/**
 * How long ago a moment was, in short.
 */
export function ago(seconds: number): string {
  return Time.formatHuman(new Date(seconds * 1000), 'short');
}
