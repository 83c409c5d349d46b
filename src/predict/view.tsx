import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import { ApiError } from '../api/errors';
import type { ModelDetail, Service, ServiceRef, Signature } from '../api/types';
import { ErrorNote, Note } from '../components/note';
import { useTrans } from '../components/trans';
import { PhaseStatus } from '../services/phase';
import type { IKaleServe } from '../tokens';
import { RequestForm } from './request';

/**
 * A test request to a service, with a form made from what its model takes.
 */
export default function PredictView(props: {
  kale: IKaleServe;
  target: ServiceRef;
}): JSX.Element {
  const trans = useTrans();
  const { kale, target } = props;
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
            return <Test kale={kale} service={service} />;
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

function Test(props: { kale: IKaleServe; service: Service }): JSX.Element {
  const trans = useTrans();
  const { kale, service } = props;
  const model = useArtifact(kale, service.model?.id ?? 0);
  const transformer = useArtifact(kale, service.transformer?.id ?? 0);
  const [component, setComponent] = React.useState<'' | 'predictor'>('');
  const hasTransformer = service.components.includes('transformer');
  const isTransformed = hasTransformer && component === '';
  const own = isTransformed ? signatureOf(transformer) : null;
  // A transformer that only works on the answer takes what the model takes, and is rarely logged with a signature.
  const signature = own ?? signatureOf(model);
  const error = model.error ?? transformer.error;
  return (
    <>
      <header className="jp-KalePredict-header">
        <h2>{service.ref.name}</h2>
        <PhaseStatus service={service} />
      </header>
      {hasTransformer && (
        <label className="jp-KalePredict-target">
          {trans.__('Send to')}
          <select
            className="jp-mod-styled"
            value={component}
            onChange={event =>
              setComponent(event.target.value as '' | 'predictor')
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
          hint={trans.__('Where that is something else, write the request as JSON.')}
        />
      )}
      {model.isLoading || transformer.isLoading ? (
        <p className="jp-KaleEmpty">{trans.__('Loading…')}</p>
      ) : (
        <RequestForm
          // Another version takes another input: the form starts over.
          key={`${component}:${service.model?.id}:${service.transformer?.id}`}
          client={kale.client}
          target={service.ref}
          component={component}
          protocol={service.protocol || 'v1'}
          signature={signature}
        />
      )}
    </>
  );
}

function signatureOf(fetched: IFetched): Signature | null {
  return fetched.value?.artifact.signature ?? null;
}

interface IFetched {
  isLoading: boolean;
  value: ModelDetail | null;
  error: ApiError | null;
}

/**
 * An artifact with all about it; nothing for id 0.
 */
function useArtifact(kale: IKaleServe, id: number): IFetched {
  const trans = useTrans();
  const [fetched, setFetched] = React.useState<IFetched & { id: number }>({
    id: 0,
    isLoading: false,
    value: null,
    error: null
  });
  React.useEffect(() => {
    if (!id) {
      return;
    }
    let isCurrent = true;
    const done = (part: Partial<IFetched>) => {
      if (isCurrent) {
        const none = { value: null, error: null };
        setFetched({ id, isLoading: false, ...none, ...part });
      }
    };
    kale.client.model(id).then(
      value => done({ value }),
      (reason: unknown) => done({ error: ApiError.from(reason, trans) })
    );
    return () => {
      isCurrent = false;
    };
  }, [kale, id, trans]);
  // Before the effect has run, what was fetched is that of another id.
  return fetched.id === id
    ? fetched
    : { isLoading: true, value: null, error: null };
}
