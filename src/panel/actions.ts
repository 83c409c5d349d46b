import type { CommandRegistry } from '@lumino/commands';
import type { ServiceRef } from '../api/types';
import { CommandIDs } from '../commandIDs';
import type { IServeSubject } from '../tokens';

/**
 * What the buttons do. The views only name it, the commands do it.
 */
export interface IActions {
  serve(subject: IServeSubject): void;
  test(ref: ServiceRef): void;
  logs(ref: ServiceRef): void;
  pause(ref: ServiceRef): void;
  resume(ref: ServiceRef): void;
  update(ref: ServiceRef): void;
  promote(ref: ServiceRef): void;
  /**
   * To the revision, or to the version before the newest.
   */
  rollBack(ref: ServiceRef, revision?: number): void;
  remove(ref: ServiceRef): void;
}

/**
 * The actions as commands, so that the panel, the palette and the context menu do the same.
 */
export function commandActions(commands: CommandRegistry): IActions {
  const on = (command: string) => (ref: ServiceRef) => {
    void commands.execute(command, { ...ref });
  };
  return {
    serve: ({ modelId }) => {
      void commands.execute(CommandIDs.serveModel, { modelId });
    },
    test: on(CommandIDs.testService),
    logs: on(CommandIDs.showLogs),
    pause: on(CommandIDs.pauseService),
    resume: on(CommandIDs.resumeService),
    update: on(CommandIDs.updateService),
    promote: on(CommandIDs.promoteService),
    rollBack: (ref, revision) => {
      const args = { ...ref, ...(revision === undefined ? {} : { revision }) };
      void commands.execute(CommandIDs.rollBackService, args);
    },
    remove: on(CommandIDs.deleteService)
  };
}
