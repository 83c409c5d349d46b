import * as React from 'react';
import type { Check, Difference, JSONValue, Plan } from '../api/types';
import { SecretsButton } from '../components/button';
import { Fold } from '../components/disclosure';
import { Facts } from '../components/facts';
import { ErrorNote, Note } from '../components/note';
import { useTrans } from '../components/trans';
import { methodWords } from '../services/methods';
import { ManifestView } from './lazy';
import type { ServeFormModel } from './model';
import { fieldOf } from './model';
import { isSecretField, MASK } from './secrets';

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
            {model.isUnchanged ? (
              <Note level="info" message={trans.__('No changes.')} />
            ) : (
              <Note
                level={!plan.ok ? 'error' : plan.setup ? 'info' : 'ok'}
                message={verdict(plan)}
              />
            )}
          </div>
          <PlanFacts plan={plan} />
          <Checks checks={model.generalChecks} />
          {plan.exists && plan.ok && <Changes plan={plan} />}
          <Fold label={trans.__('Manifest')}>
            <ManifestView manifest={plan.manifest} />
          </Fold>
        </div>
      )}
    </section>
  );

  function verdict(made: Plan): string {
    if (!made.ok) {
      return trans.__('This cannot run yet.');
    }
    if (made.setup) {
      return trans.__('Set up %1 first.', made.setup.title);
    }
    return made.exists
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
        [trans.__('Protocol'), plan.protocol],
        [trans.__('Answers'), methodWords(plan.method, trans, plan.methods)]
      ]}
    />
  );
}

function Checks({ checks }: { checks: readonly Check[] }): JSX.Element | null {
  const trans = useTrans();
  const order = ['error', 'warning', 'info', 'ok'];
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

/**
 * What changes of the running service, in words; field by field on demand.
 */
function Changes({ plan }: { plan: Plan }): JSX.Element {
  const trans = useTrans();
  const { changes } = plan;
  // Addresses by content say nothing to a reader: what they are of is told in words.
  const differences = plan.differences.filter(
    ({ before, after }) => !isDigest(before) && !isDigest(after)
  );
  return (
    <>
      {changes.length > 0 && (
        <>
          <h4>{trans.__('What changes')}</h4>
          <ul
            className="jp-KalePlan-changes"
            aria-label={trans.__('What changes')}
          >
            {changes.map(change => (
              <li key={change}>{change}</li>
            ))}
          </ul>
        </>
      )}
      {differences.length > 0 && (
        <Fold label={trans.__('Field by field')}>
          <Differences items={differences} />
        </Fold>
      )}
    </>
  );
}

function isDigest(value: JSONValue): boolean {
  return typeof value === 'string' && /sha256[:/][0-9a-f]{64}/.test(value);
}

function Differences({ items }: { items: readonly Difference[] }): JSX.Element {
  const trans = useTrans();
  const [isOpen, setOpen] = React.useState(false);
  const hasSecrets = items.some(
    ({ path, before, after }) =>
      isSecretField(path, before) || isSecretField(path, after)
  );
  const shown = (path: string, value: JSONValue): JSONValue =>
    isSecretField(path, value) && !isOpen ? MASK : value;
  return (
    <table className="jp-KaleDifferences">
      {hasSecrets && (
        <caption>
          <SecretsButton isOpen={isOpen} onClick={() => setOpen(!isOpen)} />
        </caption>
      )}
      <thead>
        <tr>
          <th scope="col">{trans.__('Field')}</th>
          <th scope="col">{trans.__('Now')}</th>
          <th scope="col">{trans.__('After')}</th>
        </tr>
      </thead>
      <tbody>
        {items.map(item => (
          <tr key={item.path}>
            <th scope="row">{item.path}</th>
            <Value value={shown(item.path, item.before)} />
            <Value value={shown(item.path, item.after)} />
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
