import * as React from 'react';
import { Field } from '../components/field';
import { useTrans } from '../components/trans';
import type { ServeFormModel } from './model';

/**
 * What part of the requests the new version gets.
 */
export function ShareField({ model }: { model: ServeFormModel }): JSX.Element {
  const trans = useTrans();
  return (
    <Field
      label={trans.__('Share of requests (%)')}
      notes={model.fieldChecks('canary')}
      help={trans.__(
        'What the new version gets. The rest goes to the previous version until one is chosen.'
      )}
    >
      {control => (
        <input
          {...control}
          className="jp-mod-styled"
          type="number"
          min={0}
          max={100}
          step={1}
          required
          value={model.share ?? ''}
          onChange={event => {
            const { valueAsNumber } = event.target;
            model.share = Number.isInteger(valueAsNumber)
              ? valueAsNumber
              : null;
          }}
        />
      )}
    </Field>
  );
}

/**
 * Going on where others have a say: only by a choice of its own.
 */
export function TakeOver({
  model
}: {
  model: ServeFormModel;
}): JSX.Element | null {
  const trans = useTrans();
  const codes = model.plan?.checks.map(check => check.code) ?? [];
  const choices: [boolean, string, boolean, (on: boolean) => void][] = [
    [
      codes.includes('NotMadeHere'),
      trans.__('Change this service although it was created elsewhere'),
      model.isTakeover,
      on => {
        model.isTakeover = on;
      }
    ],
    [
      model.isForced || codes.includes('ClusterConflict'),
      trans.__('Take over fields that others own'),
      model.isForced,
      on => {
        model.isForced = on;
      }
    ]
  ];
  return (
    <>
      {choices
        .filter(([isOffered]) => isOffered)
        .map(([, label, isOn, set]) => (
          <label key={label} className="jp-KaleField-choice">
            <input
              type="checkbox"
              checked={isOn}
              onChange={event => set(event.target.checked)}
            />
            {label}
          </label>
        ))}
    </>
  );
}
