/**
 * The REST API's bodies under short names.
 */
import type { components } from './schema';

type Schemas = components['schemas'];

export type Artifact = Schemas['Artifact'];
export type BackendHealth = Schemas['BackendHealth'];
export type ChatBody = Partial<Schemas['ChatBody']>;
export type ChatMessage = Schemas['ChatMessage'];
export type Check = Schemas['Check'];
export type Described = Schemas['Described'];
export type Difference = Schemas['Difference'];
export type EngineBody = Pick<Schemas['EngineBody'], 'kind'> &
  Partial<Schemas['EngineBody']>;
export type EngineInfo = Schemas['EngineInfo'];
export type EngineList = Schemas['EngineList'];
export type EnvironmentInfo = Schemas['EnvironmentInfo'];
export type FileKind = Schemas['FileKind'];
export type Health = Schemas['Health'];
export type JSONValue = Schemas['JSON'];
export type Kernel = Schemas['Kernel'];
export type Lineage = Schemas['Lineage'];
export type LineageStep = Schemas['LineageStep'];
export type LogEvent = Schemas['LogEvent'];
export type ModelDetail = Schemas['ModelDetail'];
export type ModelPage = Schemas['ModelPage'];
export type NamespaceList = Schemas['NamespaceList'];
export type PatchBody = Partial<Schemas['PatchBody']>;
export type Plan = Schemas['Plan'];
export type PredictBody = Partial<Schemas['PredictBody']>;
export type Prediction = Schemas['Prediction'];
export type RegisterBody = Pick<Schemas['RegisterBody'], 'path'> &
  Partial<Schemas['RegisterBody']>;
export type RegisteredName = Schemas['RegisteredName'];
export type RollbackBody = Partial<Schemas['RollbackBody']>;
export type RuntimeChoice = Schemas['RuntimeChoice'];
export type ServeBody = Partial<Schemas['ServeBody']>;
export type Setup = Schemas['Setup'];
export type Share = Schemas['Share'];
export type Service = Schemas['Service'];
export type ServedArtifact = Schemas['ServedArtifact'];
export type ServiceRevision = Schemas['ServiceRevision'];
export type ServiceRef = Schemas['ServiceRef'];
export type Signature = Schemas['Signature'];
export type Step = Schemas['Step'];
export type TensorSpec = Schemas['TensorSpec'];
export type Verification = Schemas['Verification'];

export type Component = Service['components'][number];
export type Phase = Service['phase'];
export type ProtocolName = '' | 'v1' | 'v2';
export type Verify = '' | 'warn' | 'require' | 'off';

/**
 * A service's identity as one string, for maps and saved state.
 */
export function refKey(ref: ServiceRef): string {
  return [ref.engine, ref.context, ref.namespace, ref.name]
    .map(encodeURIComponent)
    .join('/');
}

/**
 * Whether a parsed JSON value is an object: not null, not an array.
 */
export function isObject(
  value: JSONValue | undefined
): value is { [key: string]: JSONValue };
export function isObject(value: unknown): value is Record<string, unknown>;
export function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
