import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { Service } from '../api/types';
import { Field } from '../components/field';
import { ErrorNote } from '../components/note';
import { useTrans } from '../components/trans';
import { PlanView } from './checks';
import {
  NameField,
  ProtocolSelect,
  RuntimeSelect,
  TransformerSelect
} from './fields';
import { MethodSelect, RequireChoice } from './answers';
import type { ServeFormModel } from './model';
import { fieldOf } from './model';
import { SetupNote } from './setup';
import { ShareField, TakeOver } from './share';

/**
 * The form and its plan, side by side.
 */
export function ServeView(props: {
  model: ServeFormModel;
  /**
   * Whether the name is that of a service to be changed, and stays.
   */
  isUpdate: boolean;
  onServed: (service: Service) => void;
  onCancel: () => void;
}): JSX.Element {
  return (
    <UseSignal signal={props.model.stateChanged}>
      {() => <ServeForm {...props} />}
    </UseSignal>
  );
}

function ServeForm(props: {
  model: ServeFormModel;
  isUpdate: boolean;
  onServed: (service: Service) => void;
  onCancel: () => void;
}): JSX.Element {
  const trans = useTrans();
  const { model, isUpdate } = props;
  const { artifact, serveError } = model;
  const form = React.useRef<HTMLFormElement>(null);
  const runtime = React.useRef<HTMLSelectElement>(null);
  const [refusals, setRefusals] = React.useState(0);
  React.useEffect(() => {
    if (refusals > 0) {
      form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
    }
  }, [refusals]);
  return (
    <form
      ref={form}
      className="jp-KaleDialog-form"
      onSubmit={event => {
        event.preventDefault();
        void model.serve().then(service => {
          if (service) {
            props.onServed(service);
          } else {
            setRefusals(count => count + 1);
          }
        });
      }}
    >
      <div className="jp-KaleDialog-columns">
        <div className="jp-KaleDialog-fields">
          <p className="jp-KaleDialog-subject">
            {artifact
              ? [artifact.name, artifact.format].filter(Boolean).join(' · ')
              : trans.__('Loading…')}
          </p>
          <NameField model={model} isUpdate={isUpdate} />
          <TakeOver model={model} />
          <Field
            label={trans.__('Version')}
            notes={model.fieldChecks('version')}
          >
            {control => (
              <select
                {...control}
                className="jp-mod-styled"
                value={model.modelId}
                onChange={event => {
                  model.modelId = Number(event.target.value);
                }}
              >
                {model.versions.map((version, index) => (
                  <option key={version.id} value={version.id}>
                    {index === 0
                      ? trans.__('%1 (newest)', version.version || version.id)
                      : version.version || version.id}
                  </option>
                ))}
              </select>
            )}
          </Field>
          {model.canSplit && <ShareField model={model} />}
          <RuntimeSelect model={model} select={runtime} />
          <SetupNote model={model.setup} next={runtime} />
          <TransformerSelect model={model} />
          <ProtocolSelect model={model} />
          <MethodSelect model={model} />
          <RequireChoice model={model} />
        </div>
        <PlanView model={model} />
      </div>
      {serveError && fieldOf(serveError.field) === null && (
        <ErrorNote error={serveError} />
      )}
      <footer className="jp-KaleDialog-footer">
        <button
          type="button"
          className="jp-mod-styled jp-mod-reject"
          onClick={props.onCancel}
        >
          {trans.__('Cancel')}
        </button>
        <button
          type="submit"
          className="jp-mod-styled jp-mod-accept"
          disabled={!model.canServe}
        >
          {isUpdate ? trans.__('Update') : trans.__('Serve')}
        </button>
      </footer>
    </form>
  );
}
