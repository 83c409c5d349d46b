import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { FILE_ARGS } from './args';
import { CommandIDs } from './commandIDs';
import { serve } from './commands';
import { kaleIcon } from './icons';
import type { IKaleServe, IKaleServePanel } from './tokens';

/**
 * How the files of models end.
 */
const ENDINGS = [
  '.bst',
  '.joblib',
  '.json',
  '.model',
  '.pickle',
  '.pkl',
  '.txt',
  '.ubj'
];

/**
 * Whether a file or folder may hold a model. What it holds in truth, the server finds out.
 */
export function mayBeModel(
  item: Pick<Contents.IModel, 'type' | 'name'>
): boolean {
  const name = item.name.toLowerCase();
  return (
    item.type === 'directory' || ENDINGS.some(ending => name.endsWith(ending))
  );
}

/**
 * Add the command that registers a file and goes on to serve it.
 */
export function addFileCommand(options: {
  app: JupyterFrontEnd;
  kale: IKaleServe;
  panel: IKaleServePanel;
  browsers: IFileBrowserFactory;
  trans: TranslationBundle;
}): void {
  const { app, kale, panel, browsers, trans } = options;
  const selected = (): Contents.IModel | null => {
    const items = [...(browsers.tracker.currentWidget?.selectedItems() ?? [])];
    return items.length === 1 && mayBeModel(items[0]) ? items[0] : null;
  };
  app.commands.addCommand(CommandIDs.serveFile, {
    label: args =>
      args.isPalette
        ? trans.__('Serve the selected model file')
        : trans.__('Serve model'),
    icon: kaleIcon,
    describedBy: { args: FILE_ARGS },
    isVisible: () => selected() !== null,
    execute: async args => {
      const path =
        typeof args.path === 'string' ? args.path : selected()?.path;
      if (path === undefined) {
        return null;
      }
      // The server knows nothing of the drive that the browser got it from.
      const local = app.serviceManager.contents.localPath(path);
      return serve({ kale, panel, trans }, { path: local });
    }
  });
}
