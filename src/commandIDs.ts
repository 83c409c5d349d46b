/**
 * The commands, all of them in the palette under "Kale Serve".
 */
export namespace CommandIDs {
  export const openPanel = 'kale-serve:open-panel';
  export const searchModels = 'kale-serve:search-models';
  export const refresh = 'kale-serve:refresh';
  export const serveModel = 'kale-serve:serve-model';
  export const copyModelId = 'kale-serve:copy-model-id';
  export const serveFile = 'kale-serve:serve-file';
  export const updateService = 'kale-serve:update-service';
  export const testService = 'kale-serve:test-service';
  export const showLogs = 'kale-serve:show-logs';
  export const pauseService = 'kale-serve:pause-service';
  export const resumeService = 'kale-serve:resume-service';
  export const promoteService = 'kale-serve:promote-service';
  export const rollBackService = 'kale-serve:roll-back-service';
  export const cancelUpload = 'kale-serve:cancel-upload';
  export const copyAddress = 'kale-serve:copy-address';
  export const deleteService = 'kale-serve:delete-service';
}
