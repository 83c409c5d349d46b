import * as React from 'react';
import type { KaleServeClient } from '../api/client';
import type { Service, Step } from '../api/types';
import { CopyButton } from '../components/button';
import { Fold } from '../components/disclosure';
import type { GlyphName } from '../components/glyph';
import { Glyph } from '../components/glyph';
import { ErrorNote } from '../components/note';
import { Facts } from '../components/facts';
import { useFetched } from '../components/fetched';
import { Moment } from '../components/moment';
import { useTrans } from '../components/trans';
import type { IActions } from '../panel/actions';
import { ManifestView } from '../serve/lazy';
import { Conditions } from './conditions';
import { methodWords } from './methods';
import { Revisions } from './revisions';
import { Shares } from './shares';
import { VerificationView } from './verification';
import type { Verifications } from './verifications';
import { replicaWords } from './components';
import { newsOf } from './news';

/**
 * Everything about one service.
 */
export function ServiceDetails(props: {
  service: Service;
  client: KaleServeClient;
  verifications: Verifications;
  /**
   * Whether the service's engine keeps its revisions.
   */
  hasRevisions: boolean;
  isBusy: boolean;
  actions: IActions;
}): JSX.Element {
  const trans = useTrans();
  const { service } = props;
  const isRollout =
    service.serving_revision > 0 &&
    service.serving_revision !== service.revision;
  return (
    <div className="jp-KaleDetails">
      {service.phase !== 'Ready' && <Steps steps={service.steps} />}
      {service.log_tail && <LogTail text={service.log_tail} />}
      <Shares service={service} isBusy={props.isBusy} actions={props.actions} />
      <VerificationView service={service} verifications={props.verifications} />
      <Facts
        items={[
          [
            trans.__('Address'),
            service.url && (
              <Copied text={service.url} label={trans.__('Copy the address')} />
            )
          ],
          [
            trans.__('External address'),
            service.external_url &&
              trans.__('%1 (not verified)', service.external_url)
          ],
          [
            trans.__('gRPC'),
            service.grpc_url && (
              <Copied
                text={service.grpc_url}
                label={trans.__('Copy the gRPC address')}
              />
            )
          ],
          [trans.__('Runtime'), service.runtime],
          [trans.__('Protocol'), service.protocol],
          [trans.__('Answers'), methodWords(service.method, trans)],
          [
            trans.__('Recorded answers'),
            service.verify === 'require' && trans.__('required')
          ],
          [trans.__('Mode'), service.mode],
          [trans.__('Replicas'), replicaWords(service.replicas, trans)],
          [
            trans.__('Restarts'),
            service.restarts > 0 ? String(service.restarts) : ''
          ],
          [
            trans.__('Revision'),
            isRollout
              ? trans.__(
                  '%1, while %2 answers',
                  service.revision,
                  service.serving_revision
                )
              : String(service.revision)
          ],
          [
            trans.__('Created'),
            service.created > 0 && <Moment key="created" at={service.created} />
          ]
        ]}
      />
      {service.conditions.length > 0 && (
        <Fold label={trans.__('Conditions')}>
          <Conditions conditions={service.conditions} />
        </Fold>
      )}
      {(service.can_roll_back || service.revision > 1) &&
        props.hasRevisions && (
          <Fold label={trans.__('Revisions')}>
            <Revisions
              service={service}
              client={props.client}
              isBusy={props.isBusy}
              actions={props.actions}
            />
          </Fold>
        )}
      <Fold label={trans.__('Events')}>
        <Events service={service} client={props.client} />
      </Fold>
      <Fold label={trans.__('Manifest')}>
        <ManifestView manifest={service.manifest} />
      </Fold>
    </div>
  );
}

/**
 * The end of the failing process's log. What went wrong is said in its very last lines.
 */
function LogTail({ text }: { text: string }): JSX.Element {
  const trans = useTrans();
  const pre = React.useRef<HTMLPreElement>(null);
  React.useEffect(() => {
    if (pre.current) {
      pre.current.scrollTop = pre.current.scrollHeight;
    }
  }, [text]);
  return (
    <figure className="jp-KaleDetails-log">
      <figcaption>{trans.__('Last lines of the log')}</figcaption>
      <pre ref={pre} tabIndex={0}>
        {text}
      </pre>
    </figure>
  );
}

const STEP_GLYPHS: Record<string, GlyphName> = {
  done: 'check',
  active: 'spinner',
  failed: 'cross',
  waiting: 'circle'
};

function Steps({ steps }: { steps: Step[] }): JSX.Element | null {
  const trans = useTrans();
  if (steps.length === 0) {
    return null;
  }
  return (
    <ol className="jp-KaleSteps" aria-label={trans.__('Steps')}>
      {steps.map((step, index) => (
        <li key={index} className={`jp-mod-${step.state}`}>
          <Glyph name={STEP_GLYPHS[step.state] ?? 'circle'} />
          <span>
            {step.title}
            {step.message && (
              <div className="jp-KaleRow-sub">{step.message}</div>
            )}
          </span>
        </li>
      ))}
    </ol>
  );
}

function Copied(props: { text: string; label: string }): JSX.Element {
  return (
    <span className="jp-KaleCopied">
      <code>{props.text}</code>
      <CopyButton iconOnly text={props.text} label={props.label} />
    </span>
  );
}

/**
 * What happened to the service, asked for when it is opened and whenever the service changes.
 */
function Events(props: {
  service: Service;
  client: KaleServeClient;
}): JSX.Element {
  const trans = useTrans();
  const { service, client } = props;
  const { value: events, error } = useFetched(
    () => client.events(service.ref),
    newsOf(service),
    { keep: true }
  );
  if (error) {
    return <ErrorNote error={error} />;
  }
  if (!events) {
    return <p className="jp-KaleEmpty">{trans.__('Loading…')}</p>;
  }
  if (events.length === 0) {
    return <p className="jp-KaleEmpty">{trans.__('No events.')}</p>;
  }
  return (
    <ul className="jp-KaleConditions">
      {events.map((event, index) => (
        <li key={index}>
          <Glyph name={event.type === 'Warning' ? 'warning' : 'info'} />
          <span>
            {event.count > 1
              ? trans.__('%1 (%2 times)', event.reason, event.count)
              : event.reason}
            <div className="jp-KaleRow-sub">
              {event.message} <Moment at={event.time} />
            </div>
          </span>
        </li>
      ))}
    </ul>
  );
}
