import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { ApiError } from '../api/errors';
import type { BackendHealth, Health } from '../api/types';
import { ErrorNote, Note } from '../components/note';
import { Glyph } from '../components/glyph';
import { useTrans } from '../components/trans';
import { EngineForm, placeWords } from './engine';
import type { HealthModel } from './model';

/**
 * Where services run, and whatever of the backends is not as it should be.
 */
export function HealthView(props: {
  model: HealthModel;
  /**
   * That the server is not there, where something else than its health has found out.
   */
  away: ApiError | null;
  onRefresh: () => void;
}): JSX.Element {
  const trans = useTrans();
  const { health } = props.model;
  const error = props.away ?? props.model.error;
  const formId = React.useId();
  const [isOpen, setOpen] = React.useState(false);
  const button = React.useRef<HTMLButtonElement>(null);
  return (
    <div className="jp-KaleHealth">
      <div className="jp-KaleHealth-line">
        <span
          className={`jp-KaleHealth-dot ${error ? 'jp-mod-error' : overall(health?.backends)}`}
          aria-hidden="true"
        />
        {health ? (
          <EngineButton
            ref={button}
            health={health}
            controls={formId}
            isOpen={isOpen}
            onToggle={() => setOpen(!isOpen)}
          />
        ) : (
          <span className="jp-KaleHealth-engine">
            {error ? trans.__('No connection') : trans.__('Connecting…')}
          </span>
        )}
        <button
          type="button"
          className="jp-KaleButton jp-mod-icon-only"
          aria-label={trans.__('Refresh')}
          title={trans.__('Refresh')}
          onClick={props.onRefresh}
        >
          <Glyph name="update" />
        </button>
      </div>
      {health && isOpen && (
        <EngineForm
          id={formId}
          model={props.model}
          health={health}
          onDone={() => {
            setOpen(false);
            button.current?.focus();
          }}
        />
      )}
      {error && <ErrorNote error={error} onRetry={props.onRefresh} />}
      {!error &&
        Object.entries(health?.backends ?? {}).map(([name, backend]) => (
          <BackendNote key={name} name={name} backend={backend} />
        ))}
    </div>
  );
}

/**
 * Names the engine of new services, and opens the form that changes it.
 */
const EngineButton = React.forwardRef<
  HTMLButtonElement,
  { health: Health; controls: string; isOpen: boolean; onToggle: () => void }
>(function EngineButton(props, ref) {
  const trans = useTrans();
  const { engine, engine_reason: reason } = props.health;
  const place = placeWords(engine, trans);
  return (
    <button
      ref={ref}
      type="button"
      className="jp-KaleButton jp-KaleHealth-engine"
      aria-expanded={props.isOpen}
      aria-controls={props.isOpen ? props.controls : undefined}
      aria-label={trans.__(
        'New services run: %1 · %2',
        place,
        engine.namespace
      )}
      title={[
        trans.__(
          'Engine %1, context %2, namespace %3',
          engine.kind,
          engine.context,
          engine.namespace
        ),
        reason
      ].join('\n')}
      onClick={props.onToggle}
    >
      <span className="jp-KaleHealth-place">{place}</span>
      <span className="jp-KaleHealth-namespace">{`· ${engine.namespace}`}</span>
      <Glyph name="caret" />
    </button>
  );
});

function BackendNote(props: {
  name: string;
  backend: BackendHealth;
}): JSX.Element | null {
  const trans = useTrans();
  const { name, backend } = props;
  const title = backendTitle(name, trans);
  switch (backend.state) {
    case 'ready':
      return null;
    // What is missing is installed when it is first asked for, as the list of models does.
    case 'missing':
    case 'starting':
    case 'installing':
      return (
        <div className="jp-KaleHealth-progress" role="status">
          <label>
            <span>
              {backend.message ||
                (backend.state === 'starting'
                  ? trans.__('Starting %1', title)
                  : trans.__('Installing %1', title))}
            </span>
            <progress />
          </label>
          {backend.hint && (
            <div className="jp-KaleNote-hint">{backend.hint}</div>
          )}
        </div>
      );
    case 'error':
      return (
        <Note
          level="error"
          message={backend.message || trans.__('There is no %1 yet.', title)}
          hint={backend.hint}
        />
      );
  }
}

function backendTitle(name: string, trans: TranslationBundle): string {
  switch (name) {
    case 'engine':
      return trans.__('the serving engine');
    case 'metadata':
      return trans.__('the metadata engine');
    case 'store':
      return trans.__('the snapshot store');
    default:
      return name;
  }
}

/**
 * The state of the worst of them, as a modifier of the dot.
 */
function overall(backends: Record<string, BackendHealth> | undefined): string {
  const states = Object.values(backends ?? {}).map(backend => backend.state);
  if (states.length === 0) {
    return 'jp-mod-unknown';
  }
  if (states.includes('error')) {
    return 'jp-mod-error';
  }
  return states.every(state => state === 'ready')
    ? 'jp-mod-ready'
    : 'jp-mod-busy';
}
