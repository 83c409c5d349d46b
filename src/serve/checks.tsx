import * as React from 'react';
import type { Check, Difference, JSONValue, Plan } from '../api/types';
import { Fold } from '../components/disclosure';
import { Facts } from '../components/facts';
import { ErrorNote, Note } from '../components/note';
import { useTrans } from '../components/trans';
import { ManifestView } from './lazy';
import type { ServeFormModel } from './model';
import { fieldOf } from './model';

/**
 * What would happen: every check's verdict, what would change, the manifest.
 */
export function PlanView({ model }: { model: ServeFormModel }): JSX.Element {
  const trans = useTrans();
  const { plan, error } = model;
  return (
    <section
      className="jp-KalePlan"
      aria-label={trans.__('Plan')}
      aria-busy={model.isPlanning}
    >
      <h3 className="jp-KalePlan-title">
        {trans.__('Plan')}
        {model.isPlanning && (
          <span className="jp-KalePlan-busy">{trans.__('checking…')}</span>
        )}
      </h3>
      {error && fieldOf(error.field) === null && <ErrorNote error={error} />}
      {plan && (
        <div className={model.isPlanning ? 'jp-mod-stale' : undefined}>
          <div className="jp-KalePlan-verdict">
            <Note
              level={plan.ok ? 'ok' : 'error'}
              message={verdict(plan.ok, plan.exists)}
            />
          </div>
          <PlanFacts plan={plan} />
          <Checks checks={model.generalChecks} />
          {plan.exists && plan.ok && <Differences items={plan.differences} />}
          <Fold label={trans.__('Manifest')}>
            <ManifestView manifest={plan.manifest} />
          </Fold>
        </div>
      )}
    </section>
  );

  function verdict(isOk: boolean, exists: boolean): string {
    if (!isOk) {
      return trans.__('This cannot run yet.');
    }
    return exists
      ? trans.__('Ready to update the running service.')
      : trans.__('Ready to serve.');
  }
}

/**
 * What the automatic choices came to.
 */
function PlanFacts({ plan }: { plan: Plan }): JSX.Element {
  const trans = useTrans();
  const runtime = plan.runtimes.find(choice => choice.name === plan.runtime);
  return (
    <Facts
      items={[
        [trans.__('Service'), plan.name],
        [trans.__('Runtime'), runtime?.display_name ?? plan.runtime],
        [trans.__('Python'), runtime?.python],
        [trans.__('Image'), runtime?.image],
        [trans.__('Protocol'), plan.protocol]
      ]}
    />
  );
}

function Checks({ checks }: { checks: readonly Check[] }): JSX.Element | null {
  const trans = useTrans();
  const order = ['error', 'warning', 'ok'];
  const sorted = [...checks].sort(
    (a, b) => order.indexOf(a.level) - order.indexOf(b.level)
  );
  if (sorted.length === 0) {
    return null;
  }
  return (
    <ul className="jp-KalePlan-checks" aria-label={trans.__('Checks')}>
      {sorted.map((check, index) => (
        <li key={`${check.code}:${index}`}>
          <Note level={check.level} message={check.message} hint={check.hint} />
        </li>
      ))}
    </ul>
  );
}

function Differences({
  items
}: {
  items: readonly Difference[];
}): JSX.Element {
  const trans = useTrans();
  if (items.length === 0) {
    return (
      <p className="jp-KaleRow-sub">
        {trans.__('Nothing would change: the service is like that already.')}
      </p>
    );
  }
  return (
    <table className="jp-KaleDifferences">
      <caption>{trans.__('What changes')}</caption>
      <thead>
        <tr>
          <th scope="col">{trans.__('Field')}</th>
          <th scope="col">{trans.__('Now')}</th>
          <th scope="col">{trans.__('Then')}</th>
        </tr>
      </thead>
      <tbody>
        {items.map(item => (
          <tr key={item.path}>
            <th scope="row">{item.path}</th>
            <Value value={item.before} />
            <Value value={item.after} />
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/**
 * More of a value than this says no more to a reader; the tooltip has all of it.
 */
const LONGEST = 44;

function Value({ value }: { value: JSONValue }): JSX.Element {
  const text =
    value === null
      ? '–'
      : typeof value === 'string'
        ? value
        : JSON.stringify(value);
  return text.length > LONGEST ? (
    <td title={text}>{`${text.slice(0, 26)}…${text.slice(-12)}`}</td>
  ) : (
    <td>{text}</td>
  );
}
