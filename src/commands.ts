import type { JupyterFrontEnd, ILayoutRestorer } from '@jupyterlab/application';
import type { MainAreaWidget } from '@jupyterlab/apputils';
import { Dialog, InputDialog, showDialog, WidgetTracker } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Component, Service, ServiceRef } from './api/types';
import { refKey } from './api/types';
import {
  componentOf,
  LOGS_ARGS,
  MODEL_ARGS,
  NO_ARGS,
  refOf,
  SERVICE_ARGS
} from './args';
import { CommandIDs } from './commandIDs';
import { kaleIcon } from './icons';
import { ServiceWidget } from './serviceWidget';
import type { IKaleServe, IKaleServePanel, IServeSubject } from './tokens';

export interface ICommandOptions {
  app: JupyterFrontEnd;
  kale: IKaleServe;
  panel: IKaleServePanel;
  trans: TranslationBundle;
  restorer: ILayoutRestorer | null;
}

/**
 * Add the commands; returns the ids of those that belong in the palette.
 */
export function addCommands(options: ICommandOptions): string[] {
  const { app, kale, panel, trans } = options;
  const { commands } = app;
  const views = new ServiceViews(options);

  commands.addCommand(CommandIDs.openPanel, {
    label: trans.__('Show models and services'),
    icon: kaleIcon,
    describedBy: { args: NO_ARGS },
    execute: () => panel.reveal()
  });

  commands.addCommand(CommandIDs.searchModels, {
    label: trans.__('Search models'),
    describedBy: { args: NO_ARGS },
    execute: () => panel.reveal({ search: true })
  });

  commands.addCommand(CommandIDs.refresh, {
    label: trans.__('Refresh models and services'),
    describedBy: { args: NO_ARGS },
    execute: async () => {
      kale.start();
      await Promise.all([
        kale.health.refresh(),
        kale.services.refresh(),
        kale.models.refresh()
      ]);
    }
  });

  commands.addCommand(CommandIDs.serveModel, {
    label: trans.__('Serve model'),
    icon: kaleIcon,
    describedBy: { args: MODEL_ARGS },
    execute: async args => {
      const modelId = await modelOf(args, options);
      return modelId ? serve(options, { modelId }) : null;
    }
  });

  commands.addCommand(CommandIDs.updateService, {
    label: trans.__('Update service'),
    describedBy: { args: SERVICE_ARGS },
    execute: withService(options, async service => {
      const { updateOf } = await import('./serve/update');
      const subject = updateOf(service);
      return subject ? serve(options, subject) : null;
    })
  });

  commands.addCommand(CommandIDs.testService, {
    label: trans.__('Test service'),
    describedBy: { args: SERVICE_ARGS },
    execute: withRef(options, ref => views.open('test', ref))
  });

  commands.addCommand(CommandIDs.showLogs, {
    label: trans.__('Show logs'),
    describedBy: { args: LOGS_ARGS },
    execute: withRef(options, (ref, args) =>
      views.open('logs', ref, componentOf(args))
    )
  });

  commands.addCommand(CommandIDs.pauseService, {
    label: trans.__('Pause service'),
    describedBy: { args: SERVICE_ARGS },
    execute: withRef(options, ref =>
      kale.services.patch(ref, { paused: true })
    )
  });

  commands.addCommand(CommandIDs.resumeService, {
    label: trans.__('Resume service'),
    describedBy: { args: SERVICE_ARGS },
    execute: withRef(options, ref =>
      kale.services.patch(ref, { paused: false })
    )
  });

  commands.addCommand(CommandIDs.promoteService, {
    label: trans.__('Promote the newest version'),
    describedBy: { args: SERVICE_ARGS },
    execute: withRef(options, ref => kale.services.patch(ref, { canary: 100 }))
  });

  commands.addCommand(CommandIDs.rollBackService, {
    label: trans.__('Roll back to the version before'),
    describedBy: { args: SERVICE_ARGS },
    execute: withRef(options, ref => kale.services.patch(ref, { canary: 0 }))
  });

  commands.addCommand(CommandIDs.deleteService, {
    label: trans.__('Delete service'),
    describedBy: { args: SERVICE_ARGS },
    execute: withRef(options, async ref => {
      const isOurs = kale.services.find(ref)?.ours ?? true;
      const result = await showDialog({
        title: trans.__('Delete %1?', ref.name),
        body: isOurs
          ? trans.__(
              'Its address stops answering and its logs are removed. The model and its versions stay.'
            )
          : trans.__(
              'It was not made here: others may need it, and what made it may make it again. Its address stops answering.'
            ),
        buttons: [
          Dialog.cancelButton(),
          Dialog.warnButton({ label: trans.__('Delete') })
        ],
        defaultButton: 0
      });
      if (result.button.accept) {
        await kale.services.delete(ref);
      }
    })
  });

  return [
    CommandIDs.openPanel,
    CommandIDs.searchModels,
    CommandIDs.refresh,
    CommandIDs.serveModel,
    CommandIDs.updateService,
    CommandIDs.testService,
    CommandIDs.showLogs,
    CommandIDs.pauseService,
    CommandIDs.resumeService,
    CommandIDs.promoteService,
    CommandIDs.rollBackService,
    CommandIDs.deleteService
  ];
}

/**
 * Open the Serve dialog, whose code is loaded at its first use, and show the panel where something was served.
 */
export async function serve(
  options: Pick<ICommandOptions, 'kale' | 'panel' | 'trans'>,
  subject: IServeSubject | { path: string }
): Promise<Service | null> {
  const { kale, panel, trans } = options;
  const { openServeDialog } = await import('./serve/dialog');
  kale.start();
  const service = await openServeDialog({ kale, trans, subject });
  if (service) {
    panel.reveal();
  }
  return service;
}

type Execute<T> = (args: ReadonlyPartialJSONObject) => Promise<T | null>;

/**
 * A command on the service that its arguments name, that the context menu was opened on, or that the user picks.
 */
function withRef<T>(
  options: ICommandOptions,
  act: (ref: ServiceRef, args: ReadonlyPartialJSONObject) => T | Promise<T>
): Execute<T> {
  return async args => {
    options.kale.start();
    const ref =
      refOf(args) ??
      (args.isContextMenu
        ? refOf({ ...hit(options.app, 'jp-KaleServe-serviceRow') })
        : await pickService(options));
    return ref ? act(ref, args) : null;
  };
}

function withService<T>(
  options: ICommandOptions,
  act: (service: Service) => Promise<T>
): Execute<T | null> {
  return withRef(options, async ref => {
    const service = options.kale.services.find(ref);
    return service ? act(service) : null;
  });
}

async function modelOf(
  args: ReadonlyPartialJSONObject,
  { app, kale, trans }: ICommandOptions
): Promise<number | null> {
  if (typeof args.modelId === 'number') {
    return args.modelId;
  }
  if (args.isContextMenu) {
    return Number(hit(app, 'jp-KaleServe-modelRow').modelId) || null;
  }
  const { items } = await kale.client.models({ limit: 200 });
  const labels = items.map(({ latest }) =>
    latest.version ? `${latest.name} ${latest.version}` : latest.name
  );
  const chosen = await pick(trans.__('Which model?'), labels, trans);
  return chosen === null ? null : items[chosen].latest.id;
}

async function pickService({
  kale,
  trans
}: ICommandOptions): Promise<ServiceRef | null> {
  const services = await kale.client.services();
  const chosen = await pick(
    trans.__('Which service?'),
    services.map(service => service.ref.name),
    trans
  );
  return chosen === null ? null : services[chosen].ref;
}

async function pick(
  title: string,
  items: string[],
  trans: TranslationBundle
): Promise<number | null> {
  if (items.length === 0) {
    await showDialog({
      title,
      body: trans.__('There is none yet.'),
      buttons: [Dialog.okButton()]
    });
    return null;
  }
  const { value } = await InputDialog.getItem({ title, items });
  const index = value === null ? -1 : items.indexOf(value);
  return index < 0 ? null : index;
}

/**
 * The data of the row that the context menu was opened on.
 */
function hit(app: JupyterFrontEnd, className: string): DOMStringMap {
  const row = app.contextMenuHitTest(node => node.classList.contains(className));
  return row?.dataset ?? {};
}

/**
 * The views of services in the main area: one of a kind for each, there again after a reload.
 */
class ServiceViews {
  constructor(private _options: ICommandOptions) {
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
        icon: kaleIcon
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
