import * as React from 'react';
import type { ApiError } from '../api/errors';
import { plainText } from '../api/plain';
import type { Prediction, TensorSpec } from '../api/types';
import { CopyButton } from '../components/button';
import { Fold } from '../components/disclosure';
import { ErrorNote } from '../components/note';
import { useTrans } from '../components/trans';
import { predictionsOf } from './form';
import { outputsOf } from './tensors/outputs';
import { DownloadButton, OutputsView } from './tensors/results';
import { laidOut, shown } from './text';

/**
 * So many characters of a request are shown: the rest would be a very long list of numbers.
 */
const MOST_SENT = 20_000;

/**
 * What the service answered, how long it took, and the same call as code.
 */
export function AnswerView(props: {
  answer: Prediction | null;
  error: ApiError | null;
  isWaiting: boolean;
  /**
   * The outputs that the answer has by name; undefined where it is about rows of a table.
   */
  outputs?: readonly TensorSpec[];
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
          <Answer answer={answer} outputs={props.outputs} />
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

function Answer(props: {
  answer: Prediction;
  outputs?: readonly TensorSpec[];
}): JSX.Element {
  const trans = useTrans();
  const { answer, outputs } = props;
  const arrays = React.useMemo(
    () => (outputs ? outputsOf(answer.answer, outputs) : null),
    [answer, outputs]
  );
  const predictions = arrays ? null : predictionsOf(answer.answer);
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
      {arrays ? (
        <OutputsView outputs={arrays} />
      ) : (
        <pre tabIndex={0}>{plainText(laidOut(answer.answer))}</pre>
      )}
      <div className="jp-KaleAnswer-copies">
        <CopyButton text={answer.python} label={trans.__('Copy as Python')} />
        <CopyButton text={answer.command} label={trans.__('Copy as command')} />
        <CopyButton text={answer.answer} label={trans.__('Copy the answer')} />
        {arrays && <DownloadButton text={answer.answer} name="answer" />}
      </div>
      <Sent request={answer.request} />
    </>
  );
}

function Sent({ request }: { request: string }): JSX.Element {
  const trans = useTrans();
  return (
    <Fold label={trans.__('What was sent')}>
      <pre tabIndex={0}>{plainText(request.slice(0, MOST_SENT))}</pre>
      {request.length > MOST_SENT && (
        <p className="jp-KaleOutputs-more">
          {trans._n(
            '… %1 more character',
            '… %1 more characters',
            request.length - MOST_SENT
          )}
        </p>
      )}
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
