import * as React from 'react';
import { plainText } from '../api/plain';
import { Field } from '../components/field';
import { useTrans } from '../components/trans';
import type { IControlProps } from '../components/field';
import type { FieldText, IInputField, Problem } from './form';
import { readJSON, shown } from './text';

/**
 * One field for each column or feature.
 */
export function InputFields(props: {
  fields: readonly IInputField[];
  texts: readonly FieldText[];
  wrong: readonly (Problem | null)[] | null;
  onChange: (texts: FieldText[]) => void;
}): JSX.Element {
  const trans = useTrans();
  const { fields, texts, wrong } = props;
  const change = (index: number, text: FieldText) =>
    props.onChange(
      fields.map((_, i) => (i === index ? text : (texts[i] ?? '')))
    );
  return (
    <div className="jp-KalePredict-fields">
      {fields.map((field, index) => {
        const problem = wrong?.[index] ?? null;
        const label = /^\d+$/.test(field.label)
          ? trans.__('Feature %1', field.label)
          : plainText(field.label);
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
            {control => (
              <Control
                control={control}
                field={field}
                label={label}
                text={texts[index] === undefined ? '' : texts[index]}
                onChange={text => change(index, text)}
              />
            )}
          </Field>
        );
      })}
    </div>
  );
}

function Control(props: {
  control: IControlProps;
  field: IInputField;
  label: string;
  text: FieldText;
  onChange: (text: FieldText) => void;
}): JSX.Element {
  const trans = useTrans();
  const { control, field, text, onChange } = props;
  switch (field.kind) {
    case 'boolean':
      return (
        <Select
          {...props}
          options={['true', 'false'].map(value => [value, value])}
          value={text === 'true' || (!text && field.canMiss) ? text : 'false'}
        />
      );
    case 'category':
      return (
        <Select
          {...props}
          options={field.choices.map(value => [value, shown(readJSON(value))])}
          value={text || (field.canMiss ? '' : (field.choices[0] ?? ''))}
        />
      );
    case 'text':
      return (
        <>
          <Input
            {...props}
            value={text ?? ''}
            isMissing={text === null}
            placeholder={text === null ? trans.__('missing') : undefined}
          />
          {field.canMiss && (
            <label className="jp-KalePredict-missing">
              <input
                type="checkbox"
                checked={text === null}
                aria-label={trans.__('%1 is missing', props.label)}
                onChange={event => onChange(event.target.checked ? null : '')}
              />
              {trans.__('missing')}
            </label>
          )}
        </>
      );
    case 'date':
      return (
        <Input
          {...props}
          value={text ?? ''}
          // The form that every library reads.
          placeholder={trans.__('such as %1', '2026-05-31T14:30:00')}
        />
      );
    case 'number':
    case 'integer':
      return (
        <Input
          control={control}
          onChange={onChange}
          value={text ?? ''}
          inputMode="decimal"
          placeholder={trans.__('missing')}
        />
      );
  }
}

function Select(props: {
  control: IControlProps;
  field: IInputField;
  options: readonly (readonly [value: string, label: string])[];
  value: FieldText;
  onChange: (text: string) => void;
}): JSX.Element {
  const trans = useTrans();
  return (
    <select
      {...props.control}
      className="jp-mod-styled"
      value={props.value ?? ''}
      onChange={event => props.onChange(event.target.value)}
    >
      {props.field.canMiss && <option value="">{trans.__('missing')}</option>}
      {props.options.map(([value, label]) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </select>
  );
}

function Input(props: {
  control: IControlProps;
  value: string;
  inputMode?: 'text' | 'decimal';
  placeholder?: string;
  isMissing?: boolean;
  onChange: (text: string) => void;
}): JSX.Element {
  return (
    <input
      {...props.control}
      className="jp-mod-styled"
      type="text"
      inputMode={props.inputMode ?? 'text'}
      value={props.value}
      placeholder={props.placeholder}
      disabled={props.isMissing}
      autoComplete="off"
      spellCheck={false}
      onChange={event => props.onChange(event.target.value)}
    />
  );
}
