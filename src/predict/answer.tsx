import * as React from 'react';
import type { ApiError } from '../api/errors';
import { plainText } from '../api/plain';
import type { Prediction } from '../api/types';
import { CopyButton } from '../components/button';
import { Fold } from '../components/disclosure';
import { ErrorNote } from '../components/note';
import { useTrans } from '../components/trans';
import { predictionsOf } from './form';
import { laidOut, shown } from './text';

/**
 * What the service answered, how long it took, and the same call as code.
 */
export function AnswerView(props: {
  answer: Prediction | null;
  error: ApiError | null;
  isWaiting: boolean;
  onLogs: () => void;
}): JSX.Element {
  const trans = useTrans();
  const { answer, error, isWaiting, onLogs } = props;
  return (
    <section
      className="jp-KaleAnswer"
      role="region"
      aria-label={trans.__('Answer')}
      aria-live="polite"
      aria-busy={isWaiting}
    >
      <h3>{trans.__('Answer')}</h3>
      {error && (
        <ErrorNote error={error}>
          {error.request && (
            // It got as far as the service, whose logs may tell more.
            <button
              type="button"
              className="jp-KaleButton jp-mod-plain"
              onClick={onLogs}
            >
              {trans.__('Show logs')}
            </button>
          )}
        </ErrorNote>
      )}
      {error?.request && <Sent request={error.request} />}
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
            : trans.__('The answer will appear here.')}
        </p>
      )}
    </section>
  );
}

function Answer({ answer }: { answer: Prediction }): JSX.Element {
  const trans = useTrans();
  const text = laidOut(answer.answer);
  const predictions = predictionsOf(answer.answer);
  const only = predictions?.length === 1 ? predictions[0] : undefined;
  return (
    <>
      {only !== undefined && (
        <p className="jp-KaleAnswer-value">{plainText(shown(only))}</p>
      )}
      <p className="jp-KaleRow-sub">
        <span>{trans.__('%1 ms', formatLatency(answer.latency_ms))}</span>
        <span>{trans.__('protocol %1', answer.protocol)}</span>
        <span className="jp-KaleAnswer-url">{answer.url}</span>
      </p>
      <pre tabIndex={0}>{plainText(text)}</pre>
      <div className="jp-KaleAnswer-copies">
        <CopyButton text={answer.python} label={trans.__('Copy as Python')} />
        <CopyButton text={answer.command} label={trans.__('Copy as command')} />
        <CopyButton text={answer.answer} label={trans.__('Copy the answer')} />
      </div>
      <Sent request={answer.request} />
    </>
  );
}

function Sent({ request }: { request: string }): JSX.Element {
  const trans = useTrans();
  return (
    <Fold label={trans.__('What was sent')}>
      <pre tabIndex={0}>{plainText(request)}</pre>
    </Fold>
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
