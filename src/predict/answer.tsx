import * as React from 'react';
import type { ApiError } from '../api/errors';
import type { Prediction } from '../api/types';
import { CopyButton } from '../components/button';
import { Fold } from '../components/disclosure';
import { ErrorNote } from '../components/note';
import { useTrans } from '../components/trans';
import { predictionsOf } from './form';

/**
 * What the service answered, how long it took, and the same call as code.
 */
export function AnswerView(props: {
  answer: Prediction | null;
  error: ApiError | null;
  isWaiting: boolean;
}): JSX.Element {
  const trans = useTrans();
  const { answer, error, isWaiting } = props;
  return (
    <section
      className="jp-KaleAnswer"
      role="region"
      aria-label={trans.__('Answer')}
      aria-live="polite"
      aria-busy={isWaiting}
    >
      <h3>{trans.__('Answer')}</h3>
      {error && <ErrorNote error={error} />}
      {answer && (
        <div
          className={`jp-KaleAnswer-body ${isWaiting ? 'jp-mod-stale' : ''}`}
        >
          <Answer answer={answer} />
        </div>
      )}
      {!answer && !error && (
        <p className="jp-KaleEmpty">
          {isWaiting
            ? trans.__('Waiting for the answer…')
            : trans.__('The answer will be here.')}
        </p>
      )}
    </section>
  );
}

function Answer({ answer }: { answer: Prediction }): JSX.Element {
  const trans = useTrans();
  const text = JSON.stringify(answer.answer, null, 2);
  const predictions = predictionsOf(answer.answer);
  const only = predictions?.length === 1 ? predictions[0] : undefined;
  return (
    <>
      {only !== undefined && (
        <p className="jp-KaleAnswer-value">
          {typeof only === 'string' ? only : JSON.stringify(only)}
        </p>
      )}
      <p className="jp-KaleRow-sub">
        <span>{trans.__('%1 ms', formatLatency(answer.latency_ms))}</span>
        <span>{trans.__('protocol %1', answer.protocol)}</span>
        <span className="jp-KaleAnswer-url">{answer.url}</span>
      </p>
      <pre tabIndex={0}>{text}</pre>
      <div className="jp-KaleAnswer-copies">
        <CopyButton text={answer.python} label={trans.__('Copy as Python')} />
        <CopyButton text={answer.command} label={trans.__('Copy as command')} />
        <CopyButton text={text} label={trans.__('Copy the answer')} />
      </div>
      <Fold label={trans.__('What was sent')}>
        <pre tabIndex={0}>{JSON.stringify(answer.request, null, 2)}</pre>
      </Fold>
    </>
  );
}

/**
 * Milliseconds with as many digits as say something.
 */
export function formatLatency(milliseconds: number): string {
  return milliseconds < 10
    ? milliseconds.toFixed(2)
    : milliseconds < 100
      ? milliseconds.toFixed(1)
      : milliseconds.toFixed(0);
}
