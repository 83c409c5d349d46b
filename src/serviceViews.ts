import type { JupyterFrontEnd, ILayoutRestorer } from '@jupyterlab/application';
import type { MainAreaWidget } from '@jupyterlab/apputils';
import { WidgetTracker } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Component, ServiceRef } from './api/types';
import { refKey } from './api/types';
import { CommandIDs } from './commandIDs';
import { kaleIcon } from './icons';
import { ServiceWidget } from './serviceWidget';
import type { IKaleServe } from './tokens';

/**
 * The views of services in the main area: one of a kind for each, there again after a reload.
 */
export class ServiceViews {
  constructor(private _options: ServiceViews.IOptions) {
    const { restorer } = _options;
    this._restore(restorer, this._trackers.test, CommandIDs.testService);
    this._restore(restorer, this._trackers.logs, CommandIDs.showLogs);
  }

  async open(
    kind: ServiceWidget.Kind,
    target: ServiceRef,
    component?: Component
  ): Promise<MainAreaWidget<ServiceWidget>> {
    const { app, kale, trans } = this._options;
    const tracker = this._trackers[kind];
    const id = ServiceWidget.idOf(kind, target);
    let widget = tracker.find(view => view.id === id);
    if (!widget) {
      widget = ServiceWidget.framed({
        kind,
        kale,
        target,
        component,
        trans,
        icon: kaleIcon,
        onLogs: () => {
          void app.commands.execute(CommandIDs.showLogs, { ...target });
        }
      });
      await tracker.add(widget);
      app.shell.add(widget, 'main');
    }
    app.shell.activateById(id);
    return widget;
  }

  private _restore(
    restorer: ILayoutRestorer | null,
    tracker: WidgetTracker<MainAreaWidget<ServiceWidget>>,
    command: string
  ): void {
    void restorer?.restore(tracker, {
      command,
      args: widget => ({ ...widget.content.options.target }),
      name: widget => refKey(widget.content.options.target)
    });
  }

  private _trackers = {
    test: new WidgetTracker<MainAreaWidget<ServiceWidget>>({
      namespace: 'kale-serve-test'
    }),
    logs: new WidgetTracker<MainAreaWidget<ServiceWidget>>({
      namespace: 'kale-serve-logs'
    })
  };
}

export namespace ServiceViews {
  export interface IOptions {
    app: JupyterFrontEnd;
    kale: IKaleServe;
    trans: TranslationBundle;
    restorer: ILayoutRestorer | null;
  }
}
