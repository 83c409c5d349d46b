import { makeService } from '../../__tests__/fixtures';
import { updateOf } from '../update';

describe('updateOf', () => {
  it('says what it is about, and leaves out what is to stay', () => {
    const service = makeService('iris', {
      method: 'predict_proba',
      verify: 'require',
      transformer: { id: 5, name: 'names', version: '1' }
    });
    expect(updateOf(service)?.initial).toEqual({
      update: true,
      ref: service.ref,
      name: 'iris',
      verify: 'require'
    });
  });

  it('shows the share that the newest version has', () => {
    const manifest = { spec: { predictor: { canaryTrafficPercent: 20 } } };
    expect(
      updateOf(makeService('iris', { manifest }))?.initial?.config
    ).toEqual({
      predictor: { canaryTrafficPercent: 20 }
    });
  });

  it('is none where it is not known what the service serves', () => {
    expect(updateOf(makeService('iris', { model: null }))).toBeNull();
  });
});
