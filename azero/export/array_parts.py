"""The parts of which `array_files` puts together a file of NumPy or JAX.

They are templates. `$np` is what the file calls its library; `$key` and its like are the keys of
random numbers, empty in a program without random ops; the names of the addresses of label and
prediction depend on the kind of task. The random numbers are those of `azero.executors.noise`.
"""

HEAD = {
    "np": '''\
"""A machine-learning algorithm in NumPy: fit, then predict. Written by azero.

  fit(features, labels)             # [T, $F] numbers; [T] $kinds
  predict(more_features)            # [N, $F] -> [N]$proba

The program, of which instructions without effect are left out below:

$text

It is trained example by example, in the order of the rows. s are scalars, v are vectors of $F
entries, m are matrices; $label is the label, v0 are the features, $prediction is the prediction.
"""

$imports

NUM_FEATURES = $F
NUM_CLASSES = $C  # 0: a real-valued label
DTYPE = np.$dtype

_trained = None  # the memory that `fit` has left''',
    "jnp": '''\
"""A machine-learning algorithm in JAX, as pure functions. Written by azero.

  memory, steps = fit(features, labels)   # [T, $F] numbers; [T] $kinds
  predict(more_features, memory)          # [N, $F] -> [N]$proba

The program, of which instructions without effect are left out below:

$text

It is trained example by example, in the order of the rows. s are scalars, v are vectors of $F
entries, m are matrices; $label is the label, v0 are the features, $prediction is the prediction.
All functions may be jitted and vmapped.
"""

$imports

NUM_FEATURES = $F
NUM_CLASSES = $C  # 0: a real-valued label
DTYPE = jnp.$dtype''',
}

FIT = {
    "np": '''\
class Stopped(ArithmeticError):
  """Training has failed: a prediction was NaN or too far from its label.

  Attributes:
    steps: how many examples it had been trained on.
  """

  def __init__(self, steps, error):
    super().__init__(
        f"training stopped at example {steps}, whose error is {error:g}; scale features and "
        "labels, or raise max_abs_error")
    self.steps = steps


@np.errstate(all="ignore")  # infinities and NaN flow
def fit(features, labels, *, num_epochs=1, seed=0, task_seed=0, max_abs_error=100.0):
  """Trains on examples in the order of the rows.

  Args:
    features: [T, $F] finite numbers.
    labels: [T] $kinds.
    num_epochs: passes over the rows; the later ones in an order shuffled by task_seed.
    seed: of the random numbers of the program, if it has any.
    task_seed: a second seed of them, and that of the order of the rows.
    max_abs_error: a larger error ends training.

  Returns:
    The memory after training, which `predict` uses unless it is given another.

  Raises:
    ValueError: malformed features, labels or num_epochs.
    Stopped: a prediction was NaN, or its error above max_abs_error.
  """
  global _trained
  features = _check_features(features)
  labels = _check_labels(labels, len(features))
  if num_epochs % 1 or num_epochs < 1:
    raise ValueError(f"num_epochs must be a whole number from 1, got {num_epochs}")
  rng = np.random.default_rng([task_seed, len(features)])
  steps = 0
$make_key  memory = setup(zero_memory()$setup_key)
  for epoch in range(int(num_epochs)):
    for row in rng.permutation(len(features)) if epoch else range(len(features)):
      memory = {**memory, "v0": features[row], "$label": np.zeros_like(memory["$label"])}
      memory = predict_example(memory$train_key)
      label, prediction = as_label(labels[row]), normalise(memory["$prediction"])
      error = np.max(np.abs(label - prediction))
      if not error <= max_abs_error:  # or NaN
        raise Stopped(steps, float(error))
      memory = {**memory, "$label": label, "$prediction": prediction}
      memory = learn_example(memory$learn_key)
      steps += 1
  _trained = $result
  return _trained


@np.errstate(all="ignore")
def $scores(features, memory=None):
  """$scores_are

  Args:
    features: [N, $F] finite numbers.
    memory: what `fit` returned; by default, of its latest call. It stays as it is; what an
      example changes in it counts for the rows that follow.

  Raises:
    ValueError: malformed features, or nothing has been trained.
  """
  return run(features, memory)[0]
$classes

@np.errstate(all="ignore")
def run(features, memory=None):
  """As `$scores`, and the memory after the last row."""
  features = _check_features(features)
  memory = _trained if memory is None else memory
  if memory is None:
    raise ValueError("nothing has been trained: call fit(features, labels) first")
  scores = np.empty($scores_shape, DTYPE)
  for row, x in enumerate(features):
    memory = {**memory, "v0": x, "$label": np.zeros_like(memory["$label"])}
    memory = predict_example(memory$valid_key)
    scores[row] = normalise(memory["$prediction"])$only_classes
  return scores, memory


def _check_features(features):
  features = np.asarray(features, DTYPE)
  if features.ndim != 2 or features.shape[1] != NUM_FEATURES:
    raise ValueError(
        f"features must have shape [rows, {NUM_FEATURES}], got {list(features.shape)}")
  if not np.isfinite(features).all():
    raise ValueError("features must be finite: remove rows with NaN, or fill them in")
  return features


def _check_labels(labels, count):
  labels = np.asarray(labels, DTYPE)
  if labels.shape != (count,) or not np.isfinite(labels).all():
    raise ValueError(f"labels must be {count} finite numbers, one for each row of the features")
  if NUM_CLASSES and not np.isin(labels, np.arange(NUM_CLASSES)).all():
    raise ValueError(f"labels must be whole numbers from 0 to {NUM_CLASSES - 1}")
  return labels''',
    "jnp": '''\
def fit(features, labels, *, seed=0, task_seed=0, max_abs_error=100.0):
  """Trains on examples in the order of the rows; for several epochs, repeat the rows.

  Args:
    features: [T, $F] finite numbers.
    labels: [T] $kinds.
    seed: of the random numbers of the program, if it has any; below 2**32.
    task_seed: a second seed of them.
    max_abs_error: training has failed at an example whose error is larger, or NaN.

  Returns:
    The memory after training, and how many examples the program was trained on before it
    failed: T if it did not.

  Raises:
    ValueError: features or labels of another shape, or float64 is not enabled in JAX.
  """
  features = _check_features(features)
  labels = jnp.asarray(labels, DTYPE)
  if labels.shape != features.shape[:1]:
    raise ValueError(f"labels must have shape {features.shape[:1]}, got {labels.shape}")
$make_key  memory = setup(zero_memory()$setup_key)

  def step(state, example):
    memory, steps, alive = state
    count, x, y = example
    memory = {**memory, "v0": x, "$label": jnp.zeros_like(memory["$label"])}
    memory = predict_example(memory$train_key)
    label, prediction = as_label(y), normalise(memory["$prediction"])
    alive &= jnp.max(jnp.abs(label - prediction)) <= max_abs_error  # False for NaN
    memory = {**memory, "$label": label, "$prediction": prediction}
    memory = learn_example(memory$learn_key)
    return (memory, steps + alive.astype(jnp.int32), alive), None

  examples = jnp.arange(len(features), dtype=jnp.int32), features, labels
  state = memory, jnp.int32(0), jnp.array(True)
  (memory, steps, _), _ = jax.lax.scan(step, state, examples)
  return $result, steps


def $scores(features, memory):
  """$scores_are

  Args:
    features: [N, $F] finite numbers.
    memory: what `fit` returned. What an example changes in it counts for the rows that follow.
  """
  return run(features, memory)[0]
$classes

def run(features, memory):
  """As `$scores`, and the memory after the last row."""
  features = _check_features(features)

  def step(memory, example):
    row, x = example
    memory = {**memory, "v0": x, "$label": jnp.zeros_like(memory["$label"])}
    memory = predict_example(memory$valid_key)
    return memory, normalise(memory["$prediction"])$only_classes

  rows = jnp.arange(len(features), dtype=jnp.int32)
  memory, scores = jax.lax.scan(step, memory, (rows, features))
  return scores, memory


def _check_features(features):
  if jax.dtypes.canonicalize_dtype(DTYPE) != DTYPE:
    raise ValueError("float64 is off in JAX; jax.config.update('jax_enable_x64', True) enables it")
  features = jnp.asarray(features, DTYPE)
  if features.ndim != 2 or features.shape[1] != NUM_FEATURES:
    raise ValueError(
        f"features must have shape [rows, {NUM_FEATURES}], got {list(features.shape)}")
  return features''',
}

CLASSES = '''

def predict(features, memory$default):
  """The most probable class of every row, [N]; -1 where the probabilities are NaN."""
  scores = predict_proba(features, memory)
  return $np.where($np.isnan(scores)$any_class, -1, $choice)
'''

# Normalisation and labels of the three kinds of tasks.
REGRESSION = '''\
def as_label(y):
  """The label as the program sees it."""
  return y


def normalise(prediction):
  """The prediction of a real-valued label counts as it is."""
  return prediction'''

BINARY = '''\
def as_label(y):
  """The label as the program sees it."""
  return y


def normalise(prediction):
  """The sigmoid of the prediction: the probability of class 1."""
  small = $np.exp(-$np.abs(prediction))
  return $np.where(prediction >= 0, 1 / (1 + small), small / (1 + small))'''

MULTICLASS = '''\
def as_label(y):
  """The label as the program sees it: 1 at the place of its class."""
  return ($np.arange(NUM_FEATURES) == y).astype(DTYPE)


def normalise(prediction):
  """The softmax of the first entries, one for each class; zeros behind."""
  powers = $np.exp(prediction[:NUM_CLASSES] - $np.max(prediction[:NUM_CLASSES]))
  return $np.pad(powers / $np.sum(powers), (0, NUM_FEATURES - NUM_CLASSES))'''

KEYS = '''\
# Random numbers are a hash of a counter: the two seeds, what is executed, the example, the
# position of the instruction in the program, and the element.


def evaluation_key(seed, task_seed):
  """The key of one training: two words of 32 bits."""
  return fold(fold(($np.uint32(0), $np.uint32(0x9E3779B9)), seed), task_seed)


def execution_key(key, phase, count):
  """The key of an execution: 0 Setup, 1 Predict in training, 2 Learn, 3 Predict afterwards."""
  return fold(fold(key, phase), count)


def fold(key, number):
  """A new key from a key and a number."""
  if isinstance(number, int):  # one that 31 bits may not hold
    number = $np.uint32(number & 0xFFFFFFFF)
  word = $np.asarray(number).astype($np.uint32) * $np.uint32(0x9E3779B9)
  first = mix(key[0] ^ mix(word + $np.uint32(1)))
  return first, mix((key[1] + first) ^ word)


def mix(word):
  """A hash of 32 bits."""
  word = (word ^ (word >> 16)) * $np.uint32(0x21F0AAAD)
  word = (word ^ (word >> 15)) * $np.uint32(0xD35A2D97)
  return word ^ (word >> 15)


def standard_uniform(key, position, shape):
  """Numbers from U(0, 1) in steps of 2**-23, never 0 or 1."""
  first, second = fold(key, position)
  counter = $np.arange(math.prod(shape), dtype=$np.uint32).reshape(shape)
  bits = mix(mix(counter * $np.uint32(0x9E3779B9) + first) ^ second)
  return ((bits >> 9).astype(DTYPE) + 0.5) * 2.0**-23'''

_NORMAL = {
    "np": '''\
def standard_normal(key, position, shape):
  """Numbers from N(0, 1)."""
  uniform = np.ravel(standard_uniform(key, position, shape)).tolist()
  return np.reshape([*map(statistics.NormalDist().inv_cdf, uniform)], shape).astype(DTYPE)''',
    "jnp": '''\
def standard_normal(key, position, shape):
  """Numbers from N(0, 1)."""
  uniform = standard_uniform(key, position, shape)
  return math.sqrt(2.0) * jax.lax.erf_inv(2.0 * uniform - 1.0)''',
}

_SET_ENTRY = {
    "np": '''\
def set_entry(old, value, *index):
  """A vector or matrix with one entry changed."""
  new = old.copy()
  new[index] = value
  return new''',
    "jnp": '''\
def set_entry(old, value, *index):
  """A vector or matrix with one entry changed."""
  return old.at[index].set(value)''',
}

_UNIFORM = '''\
def uniform(low, high, key, position, shape):
  """Numbers from U(low, high); the two in either order."""
  return low + (high - low) * standard_uniform(key, position, shape)'''

_GAUSSIAN = '''\
def gaussian(mean, std, key, position, shape):
  """Numbers from a normal distribution."""
  return mean + std * standard_normal(key, position, shape)'''

_STD = '''\
def std(x, axis=None):
  """The standard deviation of a population, in two passes."""
  centred = x - $np.mean(x, axis=axis, keepdims=True)
  return $np.sqrt($np.mean(centred * centred, axis=axis))'''


def helpers(library: str) -> dict[str, str]:
  """Functions that expressions call, by name; each after those that call it."""
  return {
      "std": _STD, "set_entry": _SET_ENTRY[library], "uniform": _UNIFORM,
      "gaussian": _GAUSSIAN, "standard_normal": _NORMAL[library]}
