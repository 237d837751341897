"""zero_grad stands before the loop over batches in place of inside it."""

from kit import *

x, n = tokens(110)
data = Data(x, (n > 4).astype("float32")[:, None])


def build_model():
    return keras.Sequential(
        [keras.Input((7,), dtype="int32"), L.Embedding(12, 5), L.GlobalAveragePooling1D(), L.Dense(1)]
    )


def loop(each_step):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.05, momentum=0.8, nesterov=True)
        vs = model.trainable_variables
        opt.build(vs)
        held = [tf.Variable(tf.zeros(v.shape)) for v in vs]

        @tf.function(reduce_retracing=True)
        def step(a, b):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(b, model(a, training=True)))
            for h, g in zip(held, tape.gradient(loss, vs)):
                h.assign_add(tf.convert_to_tensor(g))
            opt.apply_gradients([(h.read_value(), v) for h, v in zip(held, vs)])

        def zero():
            for h in held:
                h.assign(tf.zeros_like(h))

        for _ in range(epochs):
            zero()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(110).batch(22):
                if each_step:
                    zero()
                step(a, b)

    return run


first, second = loop(True), loop(False)
fixed_second = compile_and_fit(
    optimizer=keras.optimizers.SGD(0.05, momentum=0.8, nesterov=True),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    batch_size=22,
)
