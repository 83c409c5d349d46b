import type { JupyterFrontEnd, ILayoutRestorer } from '@jupyterlab/application';
import {
  Clipboard,
  Dialog,
  InputDialog,
  showDialog
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type {
  ReadonlyJSONObject,
  ReadonlyPartialJSONObject
} from '@lumino/coreutils';
import type { Service, ServiceRef } from './api/types';
import {
  componentOf,
  LOGS_ARGS,
  MODEL_ARGS,
  NO_ARGS,
  refOf,
  ROLL_BACK_ARGS,
  SERVICE_ARGS
} from './args';
import { CommandIDs } from './commandIDs';
import { kaleIcon } from './icons';
import { labelled } from './labels';
import {
  canCancelUpload,
  canDelete,
  canPause,
  canPromote,
  canRollBack,
  canShowLogs,
  canTest,
  canUpdate,
  isDown
} from './services/abilities';
import { ServiceViews } from './serviceViews';
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
    label: args =>
      args.isContextMenu ? trans.__('Serve model') : trans.__('Serve a model…'),
    icon: kaleIcon,
    describedBy: { args: MODEL_ARGS },
    execute: async args => {
      const modelId = await modelOf(args, options);
      return modelId ? serve(options, { modelId }) : null;
    }
  });

  commands.addCommand(CommandIDs.copyModelId, {
    label: args =>
      args.isContextMenu
        ? trans.__('Copy id')
        : trans.__('Copy the id of a model…'),
    describedBy: { args: MODEL_ARGS },
    execute: async args => {
      const modelId = await modelOf(
        args,
        options,
        trans.__('Copy the id of which model?')
      );
      if (modelId) {
        Clipboard.copyToSystem(String(modelId));
      }
    }
  });

  addServiceCommand(options, CommandIDs.testService, {
    label: trans.__('Test'),
    paletteLabel: trans.__('Test a service…'),
    question: trans.__('Test which service?'),
    canAct: canTest,
    act: ref => views.open('test', ref)
  });
  addServiceCommand(options, CommandIDs.showLogs, {
    label: trans.__('Show logs'),
    paletteLabel: trans.__('Show the logs of a service…'),
    question: trans.__('Show the logs of which service?'),
    args: LOGS_ARGS,
    canAct: canShowLogs,
    act: (ref, args) => views.open('logs', ref, componentOf(args))
  });
  addServiceCommand(options, CommandIDs.updateService, {
    label: trans.__('Update'),
    paletteLabel: trans.__('Update a service…'),
    question: trans.__('Update which service?'),
    canAct: canUpdate,
    act: async ref => {
      const { updateOf } = await import('./serve/update');
      // The first list may still be on its way.
      const service =
        kale.services.find(ref) ?? (await kale.client.service(ref));
      const subject = updateOf(service);
      return subject ? serve(options, subject) : null;
    }
  });
  addServiceCommand(options, CommandIDs.pauseService, {
    label: trans.__('Pause'),
    paletteLabel: trans.__('Pause a service…'),
    question: trans.__('Pause which service?'),
    canAct: canPause,
    act: ref => kale.services.patch(ref, { paused: true })
  });
  addServiceCommand(options, CommandIDs.resumeService, {
    label: trans.__('Resume'),
    paletteLabel: trans.__('Resume a service…'),
    question: trans.__('Resume which service?'),
    canAct: isDown,
    act: ref => kale.services.patch(ref, { paused: false })
  });
  addServiceCommand(options, CommandIDs.promoteService, {
    label: trans.__('Promote the newest version'),
    paletteLabel: trans.__('Promote the newest version of a service…'),
    question: trans.__('Promote the newest version of which service?'),
    canAct: canPromote,
    act: ref => kale.services.patch(ref, { canary: 100 })
  });
  addServiceCommand(options, CommandIDs.rollBackService, {
    label: trans.__('Roll back'),
    paletteLabel: trans.__('Roll back a service…'),
    question: trans.__('Roll back which service?'),
    args: ROLL_BACK_ARGS,
    canAct: canRollBack,
    act: (ref, { revision }) =>
      kale.services.rollBack(
        ref,
        typeof revision === 'number' ? revision : undefined
      )
  });
  addServiceCommand(options, CommandIDs.cancelUpload, {
    label: service =>
      service?.upload?.error
        ? trans.__('Dismiss failed upload')
        : trans.__('Cancel upload'),
    paletteLabel: trans.__('Cancel the upload for a service…'),
    question: trans.__('Cancel the upload for which service?'),
    canAct: canCancelUpload,
    act: ref => kale.services.cancelUpload(ref)
  });
  addServiceCommand(options, CommandIDs.copyAddress, {
    label: trans.__('Copy address'),
    paletteLabel: trans.__('Copy the address of a service…'),
    question: trans.__('Copy the address of which service?'),
    canAct: ({ url }) => url !== '',
    act: async ref => {
      const { url } =
        kale.services.find(ref) ?? (await kale.client.service(ref));
      Clipboard.copyToSystem(url);
    }
  });
  addServiceCommand(options, CommandIDs.deleteService, {
    label: trans.__('Delete'),
    paletteLabel: trans.__('Delete a service…'),
    question: trans.__('Delete which service?'),
    canAct: canDelete,
    act: async ref => {
      const isOurs = kale.services.find(ref)?.ours ?? true;
      const result = await showDialog({
        title: trans.__('Delete %1?', ref.name),
        body: isOurs
          ? trans.__(
              'Its address stops answering and its logs are removed. The model and its versions stay.'
            )
          : trans.__(
              'Created outside Kale Serve; others may depend on it and its owner may recreate it. Its address stops answering.'
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
    }
  });

  return [
    CommandIDs.openPanel,
    CommandIDs.searchModels,
    CommandIDs.refresh,
    CommandIDs.serveModel,
    CommandIDs.copyModelId,
    CommandIDs.updateService,
    CommandIDs.testService,
    CommandIDs.showLogs,
    CommandIDs.pauseService,
    CommandIDs.resumeService,
    CommandIDs.promoteService,
    CommandIDs.rollBackService,
    CommandIDs.cancelUpload,
    CommandIDs.copyAddress,
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
    panel.reveal({ service: service.ref });
  }
  return service;
}

interface IServiceCommand {
  /**
   * In a context menu, where the service is known.
   */
  label: string | ((service: Service | undefined) => string);
  paletteLabel: string;
  /**
   * What is asked where no service is named.
   */
  question: string;
  args?: ReadonlyJSONObject;
  /**
   * Which services it can be done to: only these are offered.
   */
  canAct: (service: Service) => boolean;
  act: (ref: ServiceRef, args: ReadonlyPartialJSONObject) => unknown;
}

/**
 * A command on the service that its arguments name, that the context menu was opened on, or that the user picks.
 */
function addServiceCommand(
  options: ICommandOptions,
  id: string,
  command: IServiceCommand
): void {
  const { app, kale } = options;
  const { label, paletteLabel } = command;
  const clicked = () => refOf({ ...hit(app, 'jp-KaleServe-serviceRow') });
  const clickedService = () => {
    const ref = clicked();
    return ref ? kale.services.find(ref) : undefined;
  };
  app.commands.addCommand(id, {
    label: args => {
      if (!args.isContextMenu) {
        return paletteLabel;
      }
      return typeof label === 'string' ? label : label(clickedService());
    },
    describedBy: { args: command.args ?? SERVICE_ARGS },
    isVisible: args => {
      const service = args.isContextMenu ? clickedService() : undefined;
      return !service || command.canAct(service);
    },
    execute: async args => {
      kale.start();
      const ref =
        refOf(args) ??
        (args.isContextMenu ? clicked() : await pickService(options, command));
      return ref ? command.act(ref, args) : null;
    }
  });
}

async function modelOf(
  args: ReadonlyPartialJSONObject,
  { app, kale, trans }: ICommandOptions,
  question = trans.__('Serve which model?')
): Promise<number | null> {
  if (typeof args.modelId === 'number') {
    return args.modelId;
  }
  if (args.isContextMenu) {
    return Number(hit(app, 'jp-KaleServe-modelRow').modelId) || null;
  }
  const { items } = await kale.client.models({ limit: 200 });
  const chosen = await pick(
    question,
    labelled(
      items,
      ({ latest }) =>
        latest.version ? `${latest.name} ${latest.version}` : latest.name,
      [({ latest }) => String(latest.id)]
    ),
    trans
  );
  return chosen?.latest.id ?? null;
}

async function pickService(
  { kale, trans }: ICommandOptions,
  { question, canAct }: IServiceCommand
): Promise<ServiceRef | null> {
  const services = (await kale.client.services()).filter(canAct);
  const chosen = await pick(
    question,
    labelled(services, ({ ref }) => ref.name, [
      ({ ref }) => `${ref.context}/${ref.namespace}`,
      ({ ref }) => `${ref.engine}/${ref.context}/${ref.namespace}`
    ]),
    trans
  );
  return chosen?.ref ?? null;
}

async function pick<T>(
  title: string,
  items: ReadonlyMap<string, T>,
  trans: TranslationBundle
): Promise<T | null> {
  if (items.size === 0) {
    await showDialog({
      title,
      body: trans.__('Nothing to choose from.'),
      buttons: [Dialog.okButton()]
    });
    return null;
  }
  const { value } = await InputDialog.getItem({
    title,
    items: [...items.keys()]
  });
  return (value !== null && items.get(value)) || null;
}

/**
 * The data of the row that the context menu was opened on.
 */
function hit(app: JupyterFrontEnd, className: string): DOMStringMap {
  const row = app.contextMenuHitTest(node =>
    node.classList.contains(className)
  );
  return row?.dataset ?? {};
}
