using Sluice.Testing;
using Sluice.Worker.Configuration;
using Sluice.Worker.Models.Inspection;
using static Sluice.Worker.Tests.Inspection.OnnxWriter;

namespace Sluice.Worker.Tests.Inspection;

/// <summary>What the inspector lets through and what it reads from it.</summary>
public sealed class ModelInspectorTest : IDisposable
{
    private const string TestData = "/usr/share/libonnx-testdata/data/node";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-inspect-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("digits", "FP32")]
    [InlineData("embed", "FP32")]
    [InlineData("story", "FP16")]
    public void The_models_that_come_with_the_product_pass(string name, string precision)
    {
        var path = Path.Combine(Repository.Models, name, "1", "model.onnx");
        Require.Available(File.Exists(path) ? null : "eng/fetch-models has not run: make test runs it");
        var facts = ModelInspector.Inspect(path, new ModelLimits());
        Assert.Equal(path, facts.Path);
        Assert.Equal(new FileInfo(path).Length, facts.ModelBytes);
        Assert.InRange(facts.InitializerBytes, facts.ModelBytes / 2, facts.ModelBytes);
        Assert.InRange(facts.Nodes, 1, 1000);
        Assert.InRange(facts.IrVersion, 3, 20);
        Assert.Contains("", facts.Opsets);
        Assert.Contains("FP32", facts.ValueTypes);
        Assert.Empty(facts.ExternalFiles);
        Assert.Equal(precision, facts.Precision);
        Assert.Equal(name == "story", facts.HasCache);
    }

    [Fact]
    public void Every_node_model_of_onnx_own_test_data_passes_when_it_is_installed()
    {
        if (!Directory.Exists(TestData)) return;
        var refused = new List<string>();
        foreach (var path in Directory.EnumerateFiles(TestData, "model.onnx", SearchOption.AllDirectories))
            try
            {
                ModelInspector.Inspect(path, new ModelLimits());
            }
            catch (UnsafeModelException e)
            {
                refused.Add(e.Message);
            }

        Assert.Empty(refused);
    }

    [Fact]
    public void External_files_are_named_once_and_counted()
    {
        Directory.CreateDirectory(Path.Combine(folder, "weights"));
        File.WriteAllBytes(Path.Combine(folder, "weights", "a.bin"), new byte[4096]);
        File.WriteAllBytes(Path.Combine(folder, "b.bin"), new byte[16]);
        var path = Put(Model(Graph(Field(5, External("weights/a.bin", "4080", "16")), Field(5, External("./weights/a.bin")), Field(5, External("b.bin")))));
        var facts = ModelInspector.Inspect(path, new ModelLimits());
        Assert.Equal([Path.Combine(folder, "b.bin"), Path.Combine(folder, "weights", "a.bin")], facts.ExternalFiles);
        Assert.Equal(new FileInfo(path).Length + 4096 + 16, facts.ModelBytes);
        Assert.Equal((3, 48), (facts.Tensors, facts.InitializerBytes));
    }

    [Fact]
    public void Precision_is_what_most_weights_have()
    {
        var path = Put(Model(Graph(Field(5, Tensor("w", FP16, [100], new byte[200])), Field(5, Tensor("b", FP32, [2], new byte[8])),
            Field(11, Value("in", INT64, -1)))));
        var facts = ModelInspector.Inspect(path, new ModelLimits());
        Assert.Equal("FP16", facts.Precision);
        Assert.Equal(new Dictionary<string, long> { ["FP16"] = 200, ["FP32"] = 8 }, facts.BytesByType);
        Assert.Equal(["INT64"], facts.ValueTypes);
        Assert.Equal(("sluice-tests", "1"), (facts.Producer, facts.ProducerVersion));
    }

    [Fact]
    public void A_models_own_functions_may_have_a_domain_of_their_own()
    {
        var function = Join(Text(1, "Twice"), Text(10, "mine"), Text(4, "x"), Text(5, "y"), Field(7, Node("Identity", "x", "y")), Field(9, Opset("", 17)));
        var model = Model(Graph(Field(1, Node("Twice", "in", "out", Text(7, "mine")))), Field(8, Opset("mine", 1)), Field(25, function));
        Assert.Equal(2, ModelInspector.Inspect(Put(model), new ModelLimits()).Nodes);
    }

    [Fact]
    public void A_domain_that_the_operator_allows_passes()
    {
        var path = Put(Model(Graph(Field(1, Node("Foo", "in", "out", Text(7, "acme.ops")))), Field(8, Opset("acme.ops", 1))));
        Assert.Throws<UnsafeModelException>(() => ModelInspector.Inspect(path, new ModelLimits()));
        var limits = ModelLimits.Read(name => name == "SLUICE_MODEL_DOMAINS" ? "acme.ops, other" : null);
        Assert.Equal(1, ModelInspector.Inspect(path, limits).Opsets["acme.ops"]);
    }

    [Theory]
    [InlineData("SLUICE_MAX_MODEL_BYTES", "0")]
    [InlineData("SLUICE_MAX_MODEL_BYTES", "16 GiB")]
    [InlineData("SLUICE_MAX_MODEL_NODES", "-1")]
    public void A_limit_that_is_no_number_is_named(string name, string value)
    {
        var e = Assert.Throws<InvalidOperationException>(() => ModelLimits.Read(n => n == name ? value : null));
        Assert.StartsWith($"{name} is '{value}'", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_not_there_is_no_unsafe_model() =>
        Assert.Throws<FileNotFoundException>(() => ModelInspector.Inspect(Path.Combine(folder, "none.onnx"), new ModelLimits()));

    [Fact]
    public void Typed_data_counts_as_raw_data_does()
    {
        byte[][] tensors =
        [
            Tensor("packed floats", FP32, [2], null, Field(4, new byte[8])),
            Tensor("two fields", FP32, [2], null, Field(4, new byte[4]), Field(4, new byte[4])),
            Tensor("int64", INT64, [3], null, Field(7, Join(Varint(1), Varint(ulong.MaxValue), Varint(300)))),
            Tensor("unpacked", INT64, [2], null, Number(7, 5), Number(7, -5)),
            Tensor("texts", BYTES, [2], null, Text(6, "a"), Text(6, "")),
            Tensor("packed shape", FP32, [], new byte[24], Field(1, Join(Varint(2), Varint(3)))),
            Tensor("int4", 22, [3], new byte[2]),
            Tensor("none", FP32, [0, 4], null),
        ];
        Assert.Equal(8, ModelInspector.Inspect(Put(Model(Graph([.. tensors.Select(t => Field(5, t))]))), new ModelLimits()).Tensors);
    }

    private string Put(byte[] model)
    {
        var path = Path.Combine(folder, "model.onnx");
        File.WriteAllBytes(path, model);
        return path;
    }
}
