import { MainAreaWidget } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { Component, ServiceRef } from './api/types';
import { refKey } from './api/types';
import { TransContext } from './components/trans';
import type { IKaleServe } from './tokens';

const PredictView = React.lazy(() => import('./predict/view'));
const LogsView = React.lazy(() => import('./logs/view'));

/**
 * A view of one service in the main area: its test request, or its logs.
 */
export class ServiceWidget extends ReactWidget {
  constructor(readonly options: ServiceWidget.IOptions) {
    super();
    this.addClass('jp-KaleServe-serviceView');
    this.addClass('jp-ThemedContainer');
  }

  protected override render(): JSX.Element {
    const { kind, kale, target, component, trans, onLogs } = this.options;
    return (
      <TransContext.Provider value={trans}>
        <React.Suspense fallback={null}>
          {kind === 'test' ? (
            <PredictView kale={kale} target={target} onLogs={onLogs} />
          ) : (
            <LogsView kale={kale} target={target} component={component} />
          )}
        </React.Suspense>
      </TransContext.Provider>
    );
  }
}

export namespace ServiceWidget {
  export type Kind = 'test' | 'logs';

  export interface IOptions {
    kind: Kind;
    kale: IKaleServe;
    target: ServiceRef;
    component?: Component;
    trans: TranslationBundle;
    icon: LabIcon;
    /**
     * Shows the service's logs.
     */
    onLogs: () => void;
  }

  /**
   * What one view of one service is known by.
   */
  export function idOf(kind: Kind, target: ServiceRef): string {
    return `kale-serve-${kind}:${refKey(target)}`;
  }

  /**
   * A new one, framed for the main area.
   */
  export function framed(options: IOptions): MainAreaWidget<ServiceWidget> {
    const { kind, target, trans } = options;
    const widget = new MainAreaWidget({ content: new ServiceWidget(options) });
    widget.toolbar.hide();
    widget.id = idOf(kind, target);
    widget.title.icon = options.icon;
    widget.title.closable = true;
    widget.title.label =
      kind === 'test'
        ? trans.__('Test %1', target.name)
        : trans.__('Logs of %1', target.name);
    widget.title.caption = `${widget.title.label} (${target.context}/${target.namespace})`;
    return widget;
  }
}
