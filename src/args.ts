import type {
  ReadonlyJSONObject,
  ReadonlyPartialJSONObject
} from '@lumino/coreutils';
import type { Component, ServiceRef } from './api/types';

/**
 * The arguments of the commands, as JSON schemas and as values.
 */
const IS_CONTEXT_MENU = {
  type: 'boolean',
  description: 'Whether to act on what the context menu was opened on.'
} as const;

export const NO_ARGS: ReadonlyJSONObject = {
  type: 'object',
  properties: {},
  additionalProperties: false
};

export const SERVICE_ARGS: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    engine: { type: 'string', description: 'Such as `local`.' },
    context: { type: 'string', description: 'Such as `localhost`.' },
    namespace: { type: 'string' },
    name: {
      type: 'string',
      description: 'The service; asked for where it is left out.'
    },
    isContextMenu: IS_CONTEXT_MENU
  }
};

export const LOGS_ARGS: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    ...(SERVICE_ARGS.properties as ReadonlyJSONObject),
    component: { type: 'string', description: '`predictor` or `transformer`.' }
  }
};

export const ROLL_BACK_ARGS: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    ...(SERVICE_ARGS.properties as ReadonlyJSONObject),
    revision: {
      type: 'integer',
      description:
        'The revision to go back to; the one before the newest where it is left out.'
    }
  }
};

export const MODEL_ARGS: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    modelId: {
      type: 'integer',
      description: 'The artifact’s id; asked for where it is left out.'
    },
    isContextMenu: IS_CONTEXT_MENU
  }
};

export const FILE_ARGS: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    path: {
      type: 'string',
      description:
        'A model file, or a folder, under the server’s root; what is selected in the file browser where it is left out.'
    },
    isPalette: {
      type: 'boolean',
      description: 'Whether the command is shown in the palette.'
    }
  }
};

/**
 * The service that the arguments name in full, if they do.
 */
export function refOf(args: ReadonlyPartialJSONObject): ServiceRef | null {
  const { engine, context, namespace, name } = args;
  return typeof engine === 'string' &&
    typeof context === 'string' &&
    typeof namespace === 'string' &&
    typeof name === 'string'
    ? { engine, context, namespace, name }
    : null;
}

export function componentOf(
  args: ReadonlyPartialJSONObject
): Component | undefined {
  const { component } = args;
  return component === 'predictor' ||
    component === 'transformer' ||
    component === 'explainer'
    ? component
    : undefined;
}
