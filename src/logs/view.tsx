import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { Component, ServiceRef } from '../api/types';
import { CopyButton } from '../components/button';
import { Glyph } from '../components/glyph';
import { ErrorNote } from '../components/note';
import { useTrans } from '../components/trans';
import { PhaseStatus } from '../services/phase';
import type { IKaleServe } from '../tokens';
import { LogModel } from './model';

/**
 * The logs of a service: which component's, of which run, followed or not.
 */
export default function LogsView(props: {
  kale: IKaleServe;
  target: ServiceRef;
  component?: Component;
}): JSX.Element {
  const trans = useTrans();
  const { kale, target, component } = props;
  const model = React.useMemo(
    () =>
      new LogModel({
        client: kale.client,
        trans,
        ref: target,
        component,
        lines: kale.settings.logLines
      }),
    [kale, trans, target, component]
  );
  React.useEffect(() => {
    void model.load();
    return () => model.dispose();
  }, [model]);
  React.useEffect(() => {
    let wasAway = false;
    const onServices = () => {
      const isAway = kale.services.error !== null;
      if (wasAway && !isAway && model.follow && !model.isStreaming) {
        // What was followed ended with the connection, not with the service.
        void model.load();
      }
      wasAway = isAway;
    };
    kale.services.stateChanged.connect(onServices);
    return () => {
      kale.services.stateChanged.disconnect(onServices);
    };
  }, [kale, model]);
  return (
    <UseSignal signal={kale.services.stateChanged}>
      {() => (
        <UseSignal signal={model.stateChanged}>
          {() => <Logs kale={kale} target={target} model={model} />}
        </UseSignal>
      )}
    </UseSignal>
  );
}

function Logs(props: {
  kale: IKaleServe;
  target: ServiceRef;
  model: LogModel;
}): JSX.Element {
  const trans = useTrans();
  const { model, target } = props;
  const service = props.kale.services.find(target);
  const components = service?.components.length
    ? service.components
    : [model.component];
  return (
    <section
      className="jp-KaleLogs"
      role="region"
      aria-label={trans.__('Logs of %1', target.name)}
    >
      <div className="jp-KaleLogs-bar">
        {service && (
          <PhaseStatus
            service={service}
            isStale={props.kale.services.isStale}
          />
        )}
        <span className="jp-KaleLogs-space" />
        <label>
          {trans.__('Component')}
          <select
            className="jp-mod-styled"
            value={model.component}
            onChange={event => {
              model.component = event.target.value as Component;
            }}
          >
            {components.map(component => (
              <option key={component} value={component}>
                {component}
              </option>
            ))}
          </select>
        </label>
        <label>
          <input
            type="checkbox"
            checked={model.follow && !model.previous}
            disabled={model.previous}
            onChange={event => {
              model.follow = event.target.checked;
            }}
          />
          {trans.__('Follow')}
        </label>
        <label>
          <input
            type="checkbox"
            checked={model.previous}
            onChange={event => {
              model.previous = event.target.checked;
            }}
          />
          {trans.__('Previous run')}
        </label>
        <button
          type="button"
          className="jp-KaleButton jp-mod-icon-only"
          aria-label={trans.__('Reload')}
          title={trans.__('Reload')}
          onClick={() => void model.load()}
        >
          <Glyph name="update" />
        </button>
        <CopyButton
          iconOnly
          text={model.text}
          label={trans.__('Copy the log')}
        />
      </div>
      {model.error && (
        <ErrorNote error={model.error} onRetry={() => void model.load()} />
      )}
      <LogText model={model} />
    </section>
  );
}

/**
 * The text, kept at its end while the reader is there.
 */
function LogText({ model }: { model: LogModel }): JSX.Element {
  const trans = useTrans();
  const box = React.useRef<HTMLPreElement>(null);
  const isAtEnd = React.useRef(true);
  const { text } = model;
  React.useLayoutEffect(() => {
    const node = box.current;
    if (node && isAtEnd.current) {
      node.scrollTop = node.scrollHeight;
    }
  }, [text]);
  return (
    <pre
      ref={box}
      className="jp-KaleLogs-text"
      role="log"
      aria-label={trans.__('Log')}
      aria-busy={model.isStreaming}
      tabIndex={0}
      onScroll={event => {
        const { scrollTop, clientHeight, scrollHeight } = event.currentTarget;
        isAtEnd.current = scrollTop + clientHeight >= scrollHeight - 24;
      }}
    >
      {model.dropped > 0 && (
        <div className="jp-KaleLogs-aside">
          {trans.__('%1 earlier lines are not kept here.', model.dropped)}
        </div>
      )}
      {text}
      {model.isEmpty && !model.error && (
        <div className="jp-KaleLogs-aside">
          {model.previous && !model.isStreaming
            ? trans.__('There was no previous run.')
            : model.isStreaming
              ? trans.__('No output yet.')
              : trans.__('The log is empty.')}
        </div>
      )}
      {!model.isEmpty && !model.isStreaming && model.follow && (
        <div className="jp-KaleLogs-aside">{trans.__('End of the log.')}</div>
      )}
    </pre>
  );
}
