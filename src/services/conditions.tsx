import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { Service } from '../api/types';
import type { GlyphName } from '../components/glyph';
import { Glyph } from '../components/glyph';
import { useTrans } from '../components/trans';
import { componentWord } from './components';

type Condition = Service['conditions'][number];

/**
 * Types of conditions that say that something is wrong or over: of these, False is the good state.
 */
const NEGATIVE = /(Stopped|Failed|Failure|Degraded|Terminating)$/;

/**
 * What engine and controller say of the service, and of each component. That nothing is wrong or over is not said.
 */
export function Conditions(props: {
  conditions: readonly Condition[];
}): JSX.Element {
  const trans = useTrans();
  const shown = props.conditions.filter(
    ({ type, status }) => !(NEGATIVE.test(type) && status === 'False')
  );
  const parts = ['', 'Predictor', 'Transformer', 'Explainer']
    .map(part => ({ part, own: shown.filter(one => partOf(one) === part) }))
    .filter(({ own }) => own.length > 0);
  return (
    <>
      {parts.map(({ part, own }) => (
        <section key={part} aria-label={titleOf(part, trans)}>
          {parts.length > 1 && (
            <h4 className="jp-KaleConditions-title">{titleOf(part, trans)}</h4>
          )}
          <ul className="jp-KaleConditions">
            {own.map(condition => (
              <Line key={condition.type} condition={condition} />
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

function Line({ condition }: { condition: Condition }): JSX.Element {
  const { type, status, reason, message } = condition;
  const isGood = status === 'True' && !NEGATIVE.test(type);
  return (
    <li>
      <Glyph name={glyphOf(condition)} />
      <span>
        {type.slice(partOf(condition).length)}
        {!isGood && reason && <span className="jp-KaleRow-sub"> {reason}</span>}
        {!isGood && message && <div className="jp-KaleRow-sub">{message}</div>}
      </span>
    </li>
  );
}

/**
 * A stop was asked for, and is no fault.
 */
function glyphOf({ type, status }: Condition): GlyphName {
  if (status === 'Unknown') {
    return 'circle';
  }
  if (NEGATIVE.test(type)) {
    return type === 'Stopped' ? 'stop' : 'warning';
  }
  return status === 'True' ? 'check' : 'cross';
}

/**
 * The component that a condition is about, as KServe names its types: `PredictorReady`, `PredictorRouteReady`, …
 */
function partOf({ type }: Condition): string {
  return /^(Predictor|Transformer|Explainer)(?=.)/.exec(type)?.[0] ?? '';
}

function titleOf(part: string, trans: TranslationBundle): string {
  return part ? componentWord(part.toLowerCase(), trans) : trans.__('Service');
}
