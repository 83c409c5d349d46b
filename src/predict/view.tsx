import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { ModelDetail, Service, ServiceRef, Signature } from '../api/types';
import type { IFetched } from '../components/fetched';
import { useFetched } from '../components/fetched';
import { ErrorNote, Note } from '../components/note';
import { useTrans } from '../components/trans';
import { PhaseStatus } from '../services/phase';
import type { IKaleServe } from '../tokens';
import { Chat } from './chat/view';
import { RequestForm } from './request';
import { TensorForm } from './tensors/request';

/**
 * A test request to a service, with a form made from what its model takes.
 */
export default function PredictView(props: {
  kale: IKaleServe;
  target: ServiceRef;
  onLogs: () => void;
}): JSX.Element {
  const trans = useTrans();
  const { kale, target, onLogs } = props;
  return (
    <section
      className="jp-KalePredict"
      role="region"
      aria-label={trans.__('Test request')}
    >
      <UseSignal signal={kale.services.stateChanged}>
        {() => {
          const service = kale.services.find(target);
          if (service) {
            return <Test kale={kale} service={service} onLogs={onLogs} />;
          }
          return kale.services.isReady ? (
            <Note
              level="warning"
              message={trans.__('The service %1 is gone.', target.name)}
            />
          ) : (
            <p className="jp-KaleEmpty">{trans.__('Loading…')}</p>
          );
        }}
      </UseSignal>
    </section>
  );
}

function Test(props: {
  kale: IKaleServe;
  service: Service;
  onLogs: () => void;
}): JSX.Element {
  const trans = useTrans();
  const { kale, service, onLogs } = props;
  // Of a service that is being updated, what counts is the version that gets the request.
  const asked = service.answering ?? service;
  const model = useArtifact(kale, asked.model?.id ?? 0);
  const transformer = useArtifact(kale, asked.transformer?.id ?? 0);
  const [chosen, setChosen] = React.useState<'' | 'predictor'>('');
  const hasTransformer = asked.components.includes('transformer');
  // The transformer may go while this is open, and what was chosen with it.
  const component = hasTransformer ? chosen : '';
  const isTransformed = hasTransformer && component === '';
  const own = isTransformed ? signatureOf(transformer) : null;
  // A transformer that only works on the answer takes what the model takes, and is rarely logged with a signature.
  const signature = own ?? signatureOf(model);
  const error = model.error ?? transformer.error;
  // Another version takes another input: the form starts over.
  const key = `${component}:${asked.model?.id}:${asked.transformer?.id}:${asked.protocol}:${asked.task}`;
  const details = model.value?.artifact.details;
  // An argument of the server wins over what was logged.
  const task = asked.task || details?.task;
  const writes = typeof task === 'string' && WRITING.includes(task);
  const isChat = writes && !isTransformed;
  // What a model takes that was logged without saying it, its server may know.
  const isToldByServer =
    !isChat &&
    !model.isLoading &&
    !transformer.isLoading &&
    !saysSomething(signature);
  const wasReady = React.useRef(false);
  // The form stays while the service has a break.
  wasReady.current ||= canAnswer(service);
  const told = useFetched(
    isToldByServer && wasReady.current
      ? () => kale.client.tensors(service.ref, component)
      : null,
    key
  );
  const tensors = signature?.inputs.length ? signature : told.value;
  return (
    <>
      <header className="jp-KalePredict-header">
        <h2>{service.ref.name}</h2>
        <PhaseStatus service={service} isStale={kale.services.isStale} />
      </header>
      {hasTransformer && (
        <label className="jp-KalePredict-target">
          {trans.__('Send to')}
          <select
            className="jp-mod-styled"
            value={component}
            onChange={event =>
              setChosen(event.target.value as '' | 'predictor')
            }
          >
            <option value="">{trans.__('the service')}</option>
            <option value="predictor">
              {trans.__('the predictor, past the transformer')}
            </option>
          </select>
        </label>
      )}
      {error && <ErrorNote error={error} />}
      {isTransformed && signature !== null && own === null && (
        <Note
          level="info"
          message={trans.__(
            'These are the model’s fields: what the transformer takes is not recorded with it.'
          )}
          hint={trans.__(
            'If it takes something else, write the request as JSON.'
          )}
        />
      )}
      {model.isLoading || transformer.isLoading || told.isLoading ? (
        <p className="jp-KaleEmpty">{trans.__('Loading…')}</p>
      ) : isChat ? (
        <Chat
          key={key}
          client={kale.client}
          target={service.ref}
          chats={details?.chat === true && task === CHATTING}
          component={component}
          onLogs={onLogs}
        />
      ) : tensors?.inputs.length ? (
        <TensorForm
          key={key}
          client={kale.client}
          target={service.ref}
          component={component}
          protocol={asked.protocol || 'v1'}
          inputs={tensors.inputs}
          outputs={tensors.outputs}
          sample={signature?.sample ?? null}
          onLogs={onLogs}
        />
      ) : (
        <RequestForm
          key={key}
          client={kale.client}
          target={service.ref}
          component={component}
          protocol={asked.protocol || 'v1'}
          signature={signature}
          onLogs={onLogs}
        />
      )}
    </>
  );
}

/**
 * Tasks of text-generation models.
 */
const CHATTING = 'text-generation';
const WRITING = [CHATTING, 'text2text-generation'];

/**
 * Whether a record tells of a model's input.
 */
function saysSomething(signature: Signature | null): boolean {
  return (
    signature !== null &&
    (signature.inputs.length > 0 ||
      signature.columns.length > 0 ||
      signature.input_size.length > 0 ||
      signature.input_kind !== '')
  );
}

/**
 * Whether its server can be asked now.
 */
function canAnswer({ phase }: Service): boolean {
  return phase === 'Ready' || phase === 'Degraded';
}

function signatureOf(fetched: IFetched<ModelDetail>): Signature | null {
  return fetched.value?.artifact.signature ?? null;
}

/**
 * An artifact with all about it; nothing for id 0.
 */
function useArtifact(kale: IKaleServe, id: number): IFetched<ModelDetail> {
  return useFetched(id ? () => kale.client.model(id) : null, id);
}
