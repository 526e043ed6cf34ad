"""The workloads of `siamese bench` in TensorFlow and Keras, compiled as a `tf.function`: a JSON line with images a second.

    pip install tensorflow-cpu numpy
    python benches/peers/tensorflow_keras.py --workload w1
"""

import os

import workloads
from workloads import IN_COLOUR, MARGIN, ROWS

options = workloads.arguments(__doc__, [name for name in ROWS if name not in IN_COLOUR]).parse_args()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(options.threads)
tf.config.threading.set_inter_op_parallelism_threads(options.threads)
tf.keras.utils.set_random_seed(0)
workload, rows = options.workload, ROWS[options.workload]
images, labels = workloads.training_set(options.data)
batches = workloads.Batches(labels)
layers = tf.keras.layers

if workload == "w0":
    data = (images / 256.0).astype("float32")
    net = tf.keras.Sequential([layers.Input((784,)), layers.Dense(64, "relu"), layers.Dense(64, "sigmoid")])
else:
    data = (images / 255.0).astype("float32").reshape(-1, 28, 28, 1)
    net = tf.keras.Sequential([
        layers.Input((28, 28, 1)),
        layers.Conv2D(32, 3, padding="same", activation="relu"), layers.MaxPool2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"), layers.MaxPool2D(),
        layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(64), layers.UnitNormalization(),
    ])  # fmt: skip
optimiser = tf.keras.optimizers.Adam(1e-3, epsilon=1e-8)
optimiser.build(net.trainable_variables)
label = tf.repeat(tf.range(10), 32)
same = label[:, None] == label
pairs = tf.where(same & ~tf.eye(320, dtype=tf.bool))
different = ~tf.gather(same, pairs[:, 0])


def triplet_loss(e):
    a, p, n = tf.split(e, 3)
    reduce = tf.reduce_mean if workload == "w0" else tf.reduce_sum
    return tf.reduce_mean(tf.nn.relu(reduce((a - p) ** 2, 1) - reduce((a - n) ** 2, 1) + MARGIN))


def semi_hard_loss(e):
    distance = tf.nn.relu(2 - 2 * tf.matmul(e, e, transpose_b=True))
    negative = tf.gather(distance, pairs[:, 0])
    violation = tf.gather_nd(distance, pairs)[:, None] - negative + MARGIN
    counts = tf.cast(different & (violation > 0) & (violation < MARGIN), tf.float32)
    return tf.reduce_sum(violation * counts) / tf.maximum(tf.reduce_sum(counts), 1)


loss = semi_hard_loss if workload == "w2" else triplet_loss


@tf.function
def train(x):
    with tf.GradientTape() as tape:
        value = loss(net(x, training=True))
    optimiser.apply(tape.gradient(value, net.trainable_variables), net.trainable_variables)
    return value


embed = tf.function(lambda x: net(x, training=False))
fixed = tf.constant(data[:rows])


def step():
    if workload == "w1-infer":
        embed(fixed).numpy()
    else:
        numbers = batches.balanced(32) if workload == "w2" else batches.triplets(rows // 3)
        train(tf.constant(data[numbers])).numpy()


workloads.measure(f"TensorFlow {tf.__version__}", workload, step, options.seconds)
