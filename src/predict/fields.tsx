import * as React from 'react';
import { Field } from '../components/field';
import { useTrans } from '../components/trans';
import type { IInputField, Problem } from './form';

/**
 * One field for each column or feature.
 */
export function InputFields(props: {
  fields: readonly IInputField[];
  texts: readonly string[];
  wrong: readonly (Problem | null)[] | null;
  onChange: (texts: string[]) => void;
}): JSX.Element {
  const trans = useTrans();
  const { fields, texts, wrong } = props;
  const change = (index: number, text: string) =>
    props.onChange(fields.map((_, i) => (i === index ? text : (texts[i] ?? ''))));
  return (
    <div className="jp-KalePredict-fields">
      {fields.map((field, index) => {
        const problem = wrong?.[index] ?? null;
        const label = /^\d+$/.test(field.label)
          ? trans.__('Feature %1', field.label)
          : field.label;
        return (
          <Field
            key={index}
            label={label}
            help={field.dtype}
            notes={
              problem
                ? [
                    {
                      level: 'error',
                      message:
                        problem === 'number'
                          ? trans.__('This is not a number.')
                          : trans.__('This is not a whole number.')
                    }
                  ]
                : []
            }
          >
            {control =>
              field.kind === 'boolean' ? (
                <select
                  {...control}
                  className="jp-mod-styled"
                  value={texts[index] === 'true' ? 'true' : 'false'}
                  onChange={event => change(index, event.target.value)}
                >
                  {['true', 'false'].map(value => (
                    <option key={value} value={value}>
                      {value}
                    </option>
                  ))}
                </select>
              ) : (
                <input
                  {...control}
                  className="jp-mod-styled"
                  type="text"
                  inputMode={field.kind === 'text' ? 'text' : 'decimal'}
                  value={texts[index] ?? ''}
                  placeholder={
                    field.kind === 'text' ? undefined : trans.__('missing')
                  }
                  autoComplete="off"
                  spellCheck={false}
                  onChange={event => change(index, event.target.value)}
                />
              )
            }
          </Field>
        );
      })}
    </div>
  );
}
