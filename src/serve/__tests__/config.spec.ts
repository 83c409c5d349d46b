import { configOf } from '../config';

describe('configOf', () => {
  it('has nothing to keep of a plain service', () => {
    const predictor = {
      model: {
        modelFormat: { name: 'sklearn' },
        runtime: 'kserve-sklearnserver',
        protocolVersion: 'v1',
        storageUri: 'file:///x'
      }
    };
    expect(configOf({ spec: { predictor } })).toEqual({});
    expect(configOf({})).toEqual({});
  });

  it('keeps replicas, resources and the user’s own variables', () => {
    const resources = { limits: { memory: '1Gi' } };
    const own = { name: 'OMP_NUM_THREADS', value: '1' };
    const config = configOf({
      spec: {
        predictor: { minReplicas: 2, model: { resources, env: [own] } },
        transformer: {
          containers: [
            {
              name: 'kserve-container',
              image: 'kale-serve-ext/transformer:0.1.0',
              args: ['--model_name', 'iris'],
              env: [
                { name: 'STORAGE_URI', value: 'file:///t' },
                { name: 'KALE_SERVE_CLASS', value: 'T' },
                own
              ]
            }
          ]
        }
      }
    });
    expect(config).toEqual({
      predictor: { minReplicas: 2, container: { resources, env: [own] } },
      transformer: { container: { env: [own] } }
    });
  });

  it('keeps what KServe is told by annotations, but not a pause', () => {
    const annotations = {
      'serving.kserve.io/deploymentMode': 'Knative',
      'serving.kserve.io/stop': 'true',
      'kale-serve-ext/model-name': 'iris'
    };
    expect(configOf({ metadata: { annotations } })).toEqual({
      annotations: { 'serving.kserve.io/deploymentMode': 'Knative' }
    });
  });

  it('keeps an image that is the user’s', () => {
    const containers = [{ image: 'registry.test/mine:1' }];
    expect(configOf({ spec: { predictor: { containers } } })).toEqual({
      predictor: { container: { image: 'registry.test/mine:1' } }
    });
  });
});
