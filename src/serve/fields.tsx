import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { Artifact, ProtocolName, RuntimeChoice } from '../api/types';
import { Field } from '../components/field';
import { useTrans } from '../components/trans';
import type { ServeFormModel } from './model';
import { NO_TRANSFORMER } from './model';

/**
 * The service's name: the plan's proposal until one is typed.
 */
export function NameField(props: {
  model: ServeFormModel;
  isUpdate: boolean;
}): JSX.Element {
  const trans = useTrans();
  const { model, isUpdate } = props;
  const { name } = model;
  const input = React.useRef<HTMLInputElement>(null);
  React.useLayoutEffect(() => {
    // A proposal that comes while somebody begins to type is replaced by what they type, not joined to it.
    if (!model.isNamed && input.current === document.activeElement) {
      input.current?.select();
    }
  }, [model, name]);
  return (
    <Field
      label={trans.__('Name')}
      notes={model.fieldChecks('name')}
      help={
        isUpdate
          ? trans.__('The service keeps its name and its address.')
          : trans.__('Lowercase letters, digits and hyphens.')
      }
    >
      {control => (
        <input
          {...control}
          ref={input}
          className="jp-mod-styled"
          type="text"
          value={name}
          placeholder={model.plan?.name}
          readOnly={isUpdate}
          maxLength={253}
          autoComplete="off"
          spellCheck={false}
          autoFocus={!isUpdate}
          onChange={event => {
            model.name = event.target.value;
          }}
        />
      )}
    </Field>
  );
}

/**
 * The runtimes: those that fit can be chosen, the others say why they do not.
 */
export function RuntimeSelect({
  model,
  select
}: {
  model: ServeFormModel;
  select: React.RefObject<HTMLSelectElement>;
}): JSX.Element {
  const trans = useTrans();
  const runtimes = model.plan?.runtimes ?? [];
  const chosen =
    runtimes.find(choice => choice.name === model.runtime) ??
    runtimes.find(choice => choice.chosen);
  const known = runtimes.some(choice => choice.name === model.runtime);
  return (
    <Field
      label={trans.__('Runtime')}
      notes={model.fieldChecks('runtime')}
      help={chosen && runtimeHelp(chosen, trans)}
    >
      {control => (
        <select
          {...control}
          ref={select}
          className="jp-mod-styled"
          value={model.runtime}
          onChange={event => {
            model.runtime = event.target.value;
          }}
        >
          <option value="">
            {chosen?.chosen && !model.runtime
              ? trans.__('Automatic: %1', chosen.display_name)
              : trans.__('Automatic')}
          </option>
          {model.runtime && !known && (
            <option value={model.runtime}>{model.runtime}</option>
          )}
          {runtimes.map(choice => (
            <option
              key={choice.name}
              value={choice.name}
              disabled={!choice.fits}
              title={choice.reason}
            >
              {runtimeLabel(choice, trans)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

function runtimeLabel(choice: RuntimeChoice, trans: TranslationBundle): string {
  const { display_name, fits, reason, setup } = choice;
  if (setup) {
    return trans.__(
      '%1: not set up yet, about %2 MB',
      display_name,
      String(setup.megabytes)
    );
  }
  return fits || !reason
    ? display_name
    : trans.__('%1: %2', display_name, reason);
}

function runtimeHelp(choice: RuntimeChoice, trans: TranslationBundle): string {
  return [
    choice.reason,
    choice.assumed
      ? trans.__(
          'Built-in default; the cluster’s runtimes could not be listed.'
        )
      : ''
  ]
    .filter(Boolean)
    .join(' · ');
}

/**
 * The transformers by name; of the chosen one, its other versions too.
 */
export function TransformerSelect({
  model
}: {
  model: ServeFormModel;
}): JSX.Element {
  const trans = useTrans();
  const listed = new Set(model.transformers.map(item => item.latest.id));
  const others = model.transformers.map(item =>
    model
      .transformerVersions(item.latest.name)
      .filter(version => version.id !== item.latest.id)
  );
  const now = model.plan?.transformer_now;
  const isKnown =
    model.transformerId <= 0 ||
    listed.has(model.transformerId) ||
    others.some(versions => versions.some(v => v.id === model.transformerId));
  return (
    <Field
      label={trans.__('Transformer')}
      notes={model.fieldChecks('transformer')}
      help={
        model.transformers.length === 0
          ? trans.__('No transformers yet (optional).')
          : trans.__('Code that runs before and after the model.')
      }
    >
      {control => (
        <select
          {...control}
          className="jp-mod-styled"
          value={model.transformerId}
          onChange={event => {
            model.transformerId = Number(event.target.value);
          }}
        >
          {now && (
            <option value={0}>
              {trans.__('Unchanged: %1', versionLabel(now, trans))}
            </option>
          )}
          <option value={now || model.transformerId < 0 ? NO_TRANSFORMER : 0}>
            {trans.__('None')}
          </option>
          {!isKnown && (
            <option value={model.transformerId}>
              {trans.__('Artifact %1', model.transformerId)}
            </option>
          )}
          {model.transformers.map((item, index) => (
            <React.Fragment key={item.latest.id}>
              <option value={item.latest.id}>
                {versionLabel(item.latest, trans)}
              </option>
              {others[index].map(version => (
                <option key={version.id} value={version.id}>
                  {versionLabel(version, trans)}
                </option>
              ))}
            </React.Fragment>
          ))}
        </select>
      )}
    </Field>
  );
}

function versionLabel(
  artifact: Pick<Artifact, 'name' | 'version'>,
  trans: TranslationBundle
): string {
  return artifact.version
    ? trans.__('%1, version %2', artifact.name, artifact.version)
    : artifact.name;
}

export function ProtocolSelect({
  model
}: {
  model: ServeFormModel;
}): JSX.Element {
  const trans = useTrans();
  const { plan } = model;
  const spoken = plan?.runtimes.find(
    choice => choice.name === plan.runtime
  )?.protocols;
  const options: [ProtocolName, string][] = [
    ['v1', trans.__('v1 (KServe)')],
    ['v2', trans.__('v2 (Open Inference)')]
  ];
  return (
    <Field
      label={trans.__('Protocol')}
      notes={model.fieldChecks('protocol')}
      help={trans.__('The protocol that clients use.')}
    >
      {control => (
        <select
          {...control}
          className="jp-mod-styled"
          value={model.protocol}
          onChange={event => {
            model.protocol = event.target.value as ProtocolName;
          }}
        >
          <option value="">
            {plan && !model.protocol
              ? trans.__('Automatic: %1', plan.protocol)
              : trans.__('Automatic')}
          </option>
          {options.map(([value, label]) => (
            <option
              key={value}
              value={value}
              disabled={Boolean(spoken?.length) && !spoken?.includes(value)}
            >
              {label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
