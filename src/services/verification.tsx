import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { JSONValue, Service, Verification } from '../api/types';
import { ActionButton } from '../components/button';
import { Note } from '../components/note';
import { useTrans } from '../components/trans';
import type { IVerdict, Verifications } from './verifications';
import { verificationWords } from './words';

/**
 * Whether the service answers as its model did in the notebook; asked when it is shown and the service is ready.
 */
export function VerificationView(props: {
  service: Service;
  verifications: Verifications;
}): JSX.Element {
  const { service, verifications } = props;
  React.useEffect(() => {
    void verifications.ensure(service);
  }, [service, verifications]);
  return (
    <UseSignal signal={verifications.stateChanged}>
      {() => (
        <Verdict
          verdict={verifications.of(service.ref)}
          isReady={service.phase === 'Ready'}
          onAsk={() => void verifications.ask(service)}
        />
      )}
    </UseSignal>
  );
}

function Verdict(props: {
  verdict: IVerdict | null;
  isReady: boolean;
  onAsk: () => void;
}): JSX.Element | null {
  const trans = useTrans();
  const { verdict, isReady } = props;
  if (!verdict) {
    return null;
  }
  const { verification, error, isAsking } = verdict;
  return (
    <section
      className="jp-KaleVerification"
      aria-label={trans.__('Recorded rows')}
    >
      <div role="status" aria-busy={isAsking}>
        {!verification && !error && (
          <Note level="info" message={trans.__('Sending the recorded rows…')} />
        )}
        {error && (
          <Note level="warning" message={error.message} hint={error.hint} />
        )}
        {verification && (
          <Note
            level={levelOf(verification)}
            message={verificationWords(verification, trans)}
            hint={verification.error}
          />
        )}
        {verification && verification.differences.length > 0 && (
          <Differences verification={verification} />
        )}
      </div>
      {!isNothing(verification) && (
        <ActionButton
          label={trans.__('Check again')}
          glyph="update"
          disabled={isAsking || !isReady}
          title={trans.__('Send the recorded rows once more')}
          onClick={props.onAsk}
        />
      )}
    </section>
  );
}

/**
 * Whether asking again would tell nothing new.
 */
function isNothing(verification: Verification | null): boolean {
  return ['off', 'no rows are recorded'].includes(verification?.skipped ?? '');
}

function levelOf(verification: Verification): 'ok' | 'info' | 'warning' {
  return verification.ok ? 'ok' : verification.skipped ? 'info' : 'warning';
}

function Differences({
  verification
}: {
  verification: Verification;
}): JSX.Element {
  const trans = useTrans();
  const { differences, different } = verification;
  const more = different - differences.length;
  return (
    <>
      <table className="jp-KaleDifferences">
        <thead>
          <tr>
            <th scope="col">{trans.__('Row')}</th>
            <th scope="col">{trans.__('Expected')}</th>
            <th scope="col">{trans.__('Got')}</th>
          </tr>
        </thead>
        <tbody>
          {differences.map(({ row, expected, got }) => (
            <tr key={row}>
              <th scope="row">{row}</th>
              <Value value={expected} />
              <Value value={got} />
            </tr>
          ))}
        </tbody>
      </table>
      {more > 0 && (
        <p className="jp-KaleRow-sub">{trans.__('and %1 more', more)}</p>
      )}
    </>
  );
}

/**
 * More of a value than this says no more to a reader; the tooltip has more of it.
 */
const LONGEST = 60;

function Value({ value }: { value: JSONValue }): JSX.Element {
  const text = JSON.stringify(value);
  return text.length > LONGEST ? (
    <td title={text.slice(0, 2000)}>
      <code>{`${text.slice(0, LONGEST)}…`}</code>
    </td>
  ) : (
    <td>
      <code>{text}</code>
    </td>
  );
}
