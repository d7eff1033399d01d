using System.Diagnostics;
using System.Text;
using Sluice.Testing;
using Sluice.Worker.Configuration;
using Sluice.Worker.Models.Inspection;
using static Sluice.Worker.Tests.Inspection.OnnxWriter;

namespace Sluice.Worker.Tests.Inspection;

/// <summary>Files made to read other files, to eat the memory or to confuse the parser: each is refused, in words that say why.</summary>
public sealed class HostileModelTest : IDisposable
{
    private readonly string outside = Directory.CreateTempSubdirectory("sluice-hostile-").FullName;
    private readonly string folder;

    public HostileModelTest()
    {
        folder = Directory.CreateDirectory(Path.Combine(outside, "model")).FullName;
        File.WriteAllBytes(Path.Combine(outside, "secret.bin"), new byte[64]);
        File.WriteAllBytes(Path.Combine(folder, "w.bin"), new byte[64]);
        Directory.CreateDirectory(Path.Combine(folder, "sub"));
    }

    public void Dispose() => Directory.Delete(outside, recursive: true);

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("../secret.bin")]
    [InlineData("sub/../../secret.bin")]
    [InlineData("sub/../w.bin")]
    [InlineData("..")]
    [InlineData("./../secret.bin")]
    [InlineData("//server/share")]
    [InlineData("sub//w.bin")]
    [InlineData("C:/w.bin")]
    [InlineData("sub\\..\\..\\secret.bin")]
    [InlineData("file:///etc/passwd")]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("sub")]
    [InlineData("w.bin/")]
    [InlineData("w.bin/x")]
    [InlineData("missing.bin")]
    [InlineData("w.bin\0.txt")]
    [InlineData("w.bin\n")]
    [InlineData("*/_ORT_MEM_ADDR_/*")]
    [InlineData("*/_ort_mem_addr_/*")]
    public void A_location_that_is_no_plain_file_below_the_folder_is_refused(string location) =>
        Refused(InGraph(External(location)), "tensor 'w' is in ");

    [Fact]
    public void A_name_longer_than_the_file_system_takes_is_refused() => Refused(InGraph(External(new string('a', 4000))), "cannot be read");

    [Fact]
    public void A_location_that_is_no_text_is_refused() => Refused(InGraph(ExternalBytes([0x77, 0xC0, 0x80])), "not valid UTF-8");

    [Fact]
    public void A_symbolic_link_is_refused_as_file_and_as_folder()
    {
        File.CreateSymbolicLink(Path.Combine(folder, "link.bin"), Path.Combine(outside, "secret.bin"));
        File.CreateSymbolicLink(Path.Combine(folder, "inner.bin"), "w.bin");
        Directory.CreateSymbolicLink(Path.Combine(folder, "way"), outside);
        Refused(InGraph(External("link.bin")), "link.bin is a symbolic link");
        Refused(InGraph(External("inner.bin")), "inner.bin is a symbolic link");
        Refused(InGraph(External("way/secret.bin")), "way is a symbolic link");
    }

    [Fact]
    public void Weights_that_git_lfs_did_not_fetch_are_named()
    {
        File.WriteAllText(Path.Combine(folder, "pointer.bin"), "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 16\n");
        Refused(InGraph(External("pointer.bin")), "tensor 'w' is in 'pointer.bin', which is a Git LFS pointer; allowed: a file of weights; run 'git lfs pull'");
    }

    [Fact]
    public void A_file_with_a_second_name_is_refused()
    {
        using var link = Process.Start("ln", [Path.Combine(outside, "secret.bin"), Path.Combine(folder, "hard.bin")]);
        link.WaitForExit();
        Refused(InGraph(External("hard.bin")), "2 names");
    }

    [Theory]
    [InlineData("49", null, "at most the file's 64")]
    [InlineData("64", "16", "at most the file's 64")]
    [InlineData("9223372036854775807", "16", "at most the file's 64")]
    [InlineData("9223372036854775808", null, "a number from 0")]
    [InlineData("-1", null, "a number from 0")]
    [InlineData("0x10", null, "a number from 0")]
    [InlineData(" 1", null, "a number from 0")]
    [InlineData("0", "-16", "a number from 0")]
    [InlineData("0", "17", "the 16 that its shape and type take")]
    [InlineData("0", "0", "the 16 that its shape and type take")]
    public void A_place_outside_of_the_external_file_is_refused(string offset, string? length, string says) =>
        Refused(InGraph(External("w.bin", offset, length)), says);

    [Fact]
    public void External_data_is_refused_when_it_hides()
    {
        var bad = External("../secret.bin");
        const string says = "tensor 'w' is in '../secret.bin'";
        Refused(Model(Graph(Field(1, Node("If", "c", "y", Field(5, Attribute("then_branch", 6, Graph(Field(5, bad)))))))), says);
        Refused(Model(Graph(Field(1, Node("Constant", "", "y", Field(5, Attribute("value", 5, bad)))))), says);
        Refused(Model(Graph(Field(1, Node("F", "", "y", Field(5, Join(Text(1, "list"), Field(10, bad))))))), says);
        Refused(Model(Graph(Field(1, Node("F", "", "y", Field(5, Join(Text(1, "list"), Field(11, Graph(Field(5, bad))))))))), says);
        Refused(Model(Graph(), Field(25, Join(Text(1, "f"), Field(7, Node("Constant", "", "y", Field(5, Attribute("value", 5, bad))))))), says);
        Refused(Model(Graph(), Field(25, Join(Text(1, "f"), Field(11, Attribute("default", 5, bad))))), says);
        Refused(Model(Graph(), Field(20, Field(1, Graph(Field(5, bad))))), says);
        Refused(Model(Graph(), Field(20, Field(2, Graph(Field(5, bad))))), says);
        Refused(Model(Graph(Field(15, Join(Field(1, bad), Number(3, 4))))), says);
        Refused(Model(Graph(Field(15, Join(Field(1, Tensor("v", FP32, [1], new byte[4])), Field(2, bad), Number(3, 4))))), says);
        Refused(Model(Graph(Field(1, Node("Constant", "", "y", Field(5, Attribute("s", 22, Field(1, bad))))))), says);
    }

    [Fact]
    public void External_data_counts_also_when_data_location_does_not_say_so()
    {
        var entry = Field(13, Join(Text(1, "location"), Text(2, "../secret.bin")));
        Refused(InGraph(Tensor("w", FP32, [4], null, entry)), "is in '../secret.bin'");
        Refused(InGraph(Tensor("w", FP32, [4], null, entry, Number(14, 0x1_0000_0001))), "data_location 4294967297");
        Refused(InGraph(Tensor("w", FP32, [4], null, Number(14, 1))), "has no location");
        var good = Field(13, Join(Text(1, "location"), Text(2, "w.bin")));
        Refused(InGraph(Tensor("w", FP32, [4], new byte[16], good, Number(14, 1))), "both");
    }

    [Fact]
    public void What_protobuf_would_merge_is_refused()
    {
        var good = Field(13, Join(Text(1, "location"), Text(2, "w.bin")));
        Refused(InGraph(Tensor("w", FP32, [4], null, good, good, Number(14, 1))), "twice");
        var two = Field(13, Join(Text(1, "location"), Text(2, "w.bin"), Text(2, "../secret.bin")));
        Refused(InGraph(Tensor("w", FP32, [4], null, two, Number(14, 1))), "twice");
        Refused(Join(Model(Graph()), Field(7, Graph())), "field 7 occurs twice");
        Refused(InGraph(Tensor("w", FP32, [4], new byte[16], Field(9, new byte[16]))), "field 9 occurs twice");
        var attribute = Join(Attribute("v", 5, Tensor("a", FP32, [1], new byte[4])), Field(5, []));
        Refused(Model(Graph(Field(1, Node("C", "", "y", Field(5, attribute))))), "field 5 occurs twice");
    }

    [Fact]
    public void External_data_with_prepacked_weights_or_any_other_key_is_refused()
    {
        var entries = Join(Field(13, Join(Text(1, "location"), Text(2, "w.bin"))), Field(13, Join(Text(1, "prepacked_0"), Text(2, "x|0;64;"))));
        Refused(InGraph(Tensor("w", FP32, [4], null, entries, Number(14, 1))), "external_data key 'prepacked_0'");
    }

    [Theory]
    [InlineData("evil.ops", "imports operators of domain 'evil.ops'")]
    [InlineData("ai.onnx.evil", "imports operators of domain 'ai.onnx.evil'")]
    [InlineData("AI.ONNX", "imports operators of domain 'AI.ONNX'")]
    public void An_unknown_domain_is_refused_with_its_name(string domain, string says) =>
        Refused(Model(Graph(), Field(8, Opset(domain, 1))), says);

    [Fact]
    public void An_operator_of_an_unknown_domain_is_refused_with_its_name()
    {
        var node = Field(1, Node("Shell", "in", "out", Text(7, "evil")));
        Refused(Model(Graph(node)), "operator 'evil::Shell'");
        var other = Join(Text(1, "Other"), Text(10, "evil"), Field(7, Node("Identity", "x", "y")));
        Refused(Model(Graph(node), Field(8, Opset("evil", 1)), Field(25, other)), "operator 'evil::Shell'");
    }

    public static TheoryData<string, byte[], string> Tensors => new()
    {
        { "2^60 elements", Tensor("t", FP32, [1L << 60], null), "declares 1152921504606846976 elements" },
        { "2^60 elements, raw", Tensor("t", FP32, [1L << 30, 1L << 30], new byte[4]), "declares 1152921504606846976 elements" },
        { "2^60 texts", Tensor("t", BYTES, [1L << 60], null), "declares 1152921504606846976 elements" },
        { "overflow", Tensor("t", FP32, [1L << 32, 1L << 32], null), "a product above 63 bits" },
        { "overflow to zero", Tensor("t", FP32, [1L << 32, 1L << 32, 1L << 32], []), "a product above 63 bits" },
        { "overflow behind a zero", Tensor("t", FP32, [0, 1L << 62, 1L << 62], []), "a product above 63 bits" },
        { "negative", Tensor("t", FP32, [-1], []), "dimension -1" },
        { "two negatives", Tensor("t", FP32, [-2, -2], new byte[16]), "dimension -2" },
        { "rank", Tensor("t", FP32, [.. Enumerable.Repeat(1L, 65)], new byte[4]), "more than 64 dimensions" },
        { "too little raw data", Tensor("t", FP32, [4], new byte[15]), "15 bytes of raw_data; allowed: 16" },
        { "too much raw data", Tensor("t", INT8, [4], new byte[5]), "5 bytes of raw_data; allowed: 4" },
        { "no data", Tensor("t", FP32, [4], null), "has 0 numbers; allowed: 4" },
        { "data of another type", Tensor("t", FP32, [2], null, Number(7, 1), Number(7, 1)), "has 0 numbers; allowed: 2" },
        { "raw texts", Tensor("t", BYTES, [1], new byte[1]), "raw_data" },
        { "no type", Tensor("t", 0, [1], new byte[1]), "element type 0" },
        { "unknown type", Tensor("t", 99, [1], new byte[1]), "element type 99" },
        { "type that truncates", Join(Number(1, 1), Number(2, 0x1_0000_0001), Field(9, new byte[4])), "element type 4294967297" },
        { "cut packed numbers", Tensor("t", INT64, [1], null, Field(7, [0x80])), "ends within a number" },
        { "odd packed floats", Tensor("t", FP32, [1], null, Field(4, new byte[5])), "a multiple of 4" },
        { "text as type", Join(Number(1, 1), Text(2, "a")), "wire type 2" },
    };

    [Theory]
    [MemberData(nameof(Tensors))]
    public void A_tensor_whose_shape_and_data_disagree_is_refused(string what, byte[] tensor, string says)
    {
        Assert.NotEmpty(what);
        Refused(InGraph(tensor), says);
    }

    [Fact]
    public void A_sparse_tensor_counts_with_its_dense_size()
    {
        var values = Field(1, Tensor("v", FP32, [1], new byte[4]));
        Refused(Model(Graph(Field(15, Join(values, Number(3, 1L << 60))))), "declares 1152921504606846976 elements");
        Refused(Model(Graph(Field(15, Number(3, 4)))), "without values");
    }

    [Fact]
    public void Many_tensors_count_together()
    {
        var limits = new ModelLimits { MaxModelBytes = 1000 };
        var tensor = Field(5, Tensor("t", FP32, [64], null, Field(13, Join(Text(1, "location"), Text(2, "big.bin"))), Number(14, 1)));
        File.WriteAllBytes(Path.Combine(folder, "big.bin"), new byte[256]);
        Refused(Model(Graph(tensor, tensor, tensor, tensor)), "declare 1024 bytes", limits);
        Refused(InGraph(Tensor("t", FP32, [300], new byte[1200])), "it is 1", limits);
        File.WriteAllBytes(Path.Combine(folder, "big.bin"), new byte[990]);
        Refused(Model(Graph(tensor)), "it and its external files", limits);
    }

    [Fact]
    public void Counts_are_capped()
    {
        var node = Field(1, Node("Identity", "x", "y"));
        Refused(Model(Graph(node, node, node)), "more than 2 nodes", new ModelLimits { MaxNodes = 2 });
        var branch = Field(1, Node("If", "c", "y", Field(5, Attribute("then_branch", 6, Graph(node, node)))));
        Refused(Model(Graph(branch)), "more than 2 nodes", new ModelLimits { MaxNodes = 2 });
        var tensor = Field(5, Tensor("t", FP32, [1], new byte[4]));
        Refused(Model(Graph(tensor, tensor)), "more than 1 tensors", new ModelLimits { MaxTensors = 1 });
    }

    [Theory]
    [InlineData(17, false)]
    [InlineData(10_000, false)]
    [InlineData(16, true)]
    public void Subgraphs_nest_only_so_deep(int depth, bool passes)
    {
        var model = Model(NestedGraphs(depth));
        if (passes) Assert.Equal(depth, ModelInspector.Inspect(Put(model), new ModelLimits()).Nodes);
        else Refused(model, "nested deeper than 16");
    }

    /// <summary>Returns a graph with a node whose attribute is a graph with a node, and so on.</summary>
    private static byte[] NestedGraphs(int depth)
    {
        // From the inside, the bytes before each graph, because a message starts with its length: a copy of all bytes
        // at each depth takes seconds. What follows a graph is the type of its attribute.
        var after = Number(20, 5);
        var before = new List<byte[]>();
        var length = Graph().Length;
        for (var i = 0; i < depth; i++)
        {
            var attribute = Join(Text(1, "b"), Head(6, length));
            length += attribute.Length + after.Length;
            var node = Join(Text(1, "c"), Text(2, "y"), Text(4, "If"), Head(5, length));
            length += node.Length;
            before.Add(Graph(Head(1, length), node, attribute));
            length = length - node.Length - attribute.Length + before[^1].Length;
        }

        before.Reverse();
        return Join([.. before, Graph(), .. Enumerable.Repeat(after, depth)]);
    }

    private static byte[] Head(int field, int length) => Join(Varint((ulong)((field << 3) | 2)), Varint((ulong)length));

    [Fact]
    public void Types_nest_only_so_deep()
    {
        byte[] type = [];
        for (var i = 0; i < 10_000; i++) type = Field(4, Field(1, type));
        Refused(Model(Graph(Field(11, Field(2, type)))), "types nested deeper");
    }

    public static TheoryData<byte[], string> Malformed => new()
    {
        { [], "it is empty" },
        { [0x08], "cut off at byte 1" },
        { [0x08, 0x80], "cut off" },
        { [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], "more than 64 bits" },
        { [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02], "more than 64 bits" },
        { [0x3A, 0x05, 0x00], "is 5 bytes long; allowed: at most the 1 left" },
        { [0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], "18446744073709551615 bytes long" },
        { [0x3A, 0x80, 0x80, 0x80, 0x80, 0x10], "4294967296 bytes long" },
        { [0x00, 0x00], "field number 0" },
        { [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x00], "field number" },
        { [0x0B, 0x0C], "wire type 3" },
        { [0x0F], "wire type 7" },
        { [0x0D, 1, 2], "cut off" },
        { [0x38, 0x01], "field 7 at byte 2 has wire type 0; allowed: 2" },
        { [0x08, 0x08], "it contains no graph" },
        { Encoding.ASCII.GetBytes("<!DOCTYPE html><html>"), "it is not an ONNX model: it is an HTML or XML page" },
        { Encoding.ASCII.GetBytes("version https://git-lfs.github.com/spec/v1\n"), "it is a Git LFS pointer; allowed: an ONNX model; run 'git lfs pull'" },
        { [0x80, 0x02, 0x8A, 0x0A], "it is a Python pickle" },
        { Encoding.ASCII.GetBytes("GGUF\x3\0\0\0"), "it is a GGUF file" },
        { [0x40, 0, 0, 0, 0, 0, 0, 0, (byte)'{', (byte)'"'], "it is a safetensors file" },
    };

    [Theory]
    [MemberData(nameof(Malformed))]
    public void A_file_that_is_no_protobuf_is_refused(byte[] file, string says) => Refused(file, says);

    [Fact]
    public void Random_bytes_are_refused()
    {
        var random = new Random(1);
        for (var i = 0; i < 300; i++)
        {
            var bytes = new byte[random.Next(1, 5000)];
            random.NextBytes(bytes);
            Refused(bytes, "is refused");
        }
    }

    [Fact]
    public void A_message_is_one_line_and_short_whatever_the_file_says()
    {
        var e = Refused(InGraph(External("../\u001b[31m\r\n" + new string('x', 3000))), "tensor 'w' is in");
        Assert.DoesNotContain(e.Message, char.IsControl);
        Assert.InRange(e.Message.Length, 1, 1000);
    }

    /// <summary>Every single mutation either passes or is refused, and that soon: nothing else may come out of a file.</summary>
    [Fact]
    public void A_mutated_model_passes_or_is_refused_and_nothing_else()
    {
        var seed = Seed();
        ModelInspector.Inspect(Put(seed), new ModelLimits());
        var random = new Random(2);
        var (cases, passed, refused) = (RandomCases.Count(6000), 0, 0);
        for (var i = 0; i < cases; i++)
        {
            var path = Put(Mutated(seed, random));
            try
            {
                ModelInspector.Inspect(path, new ModelLimits());
                passed++;
            }
            catch (UnsafeModelException e)
            {
                Assert.Contains(path, e.Message, StringComparison.Ordinal);
                refused++;
            }
        }

        // Both happen often, or the mutations reach nothing.
        Assert.InRange(passed, cases / 60, cases);
        Assert.InRange(refused, cases / 60, cases);
    }

    private static byte[] Seed() => Model(
        Graph(Field(1, Node("If", "c", "y", Field(5, Attribute("then_branch", 6, Graph(Field(5, External("w.bin", "16", "16"))))))),
            Field(1, Node("Twice", "in", "out", Text(7, "mine"), Field(5, Attribute("value", 5, Tensor("t", INT64, [3], null, Field(7, [1, 2, 3])))))),
            Field(5, Tensor("w", FP32, [2, 2], new byte[16])), Field(15, Join(Field(1, Tensor("v", FP32, [1], new byte[4])),
                Field(2, Tensor("i", INT64, [1], new byte[8])), Number(3, 4))), Field(11, Value("in", FP32, -1, 2)), Field(12, Value("out", FP32, -1))),
        Field(8, Opset("mine", 1)), Field(14, Join(Text(1, "k"), Text(2, "v"))), Field(20, Field(1, Graph())),
        Field(25, Join(Text(1, "Twice"), Text(10, "mine"), Field(7, Node("Identity", "x", "y")), Field(9, Opset("", 17)))));

    private static byte[] Mutated(byte[] seed, Random random)
    {
        var at = random.Next(seed.Length);
        var copy = (byte[])seed.Clone();
        switch (random.Next(5))
        {
            case 0:
                copy[at] ^= (byte)(1 << random.Next(8));
                return copy;
            case 1:
                copy[at] = (byte)random.Next(256);
                return copy;
            case 2:
                return [.. seed[..at], .. seed[(at + 1)..]];
            case 3:
                return [.. seed[..at], (byte)random.Next(256), .. seed[at..]];
            default:
                return seed[..at];
        }
    }

    private static byte[] InGraph(byte[] tensor) => Model(Graph(Field(5, tensor)));

    private UnsafeModelException Refused(byte[] model, string says, ModelLimits? limits = null)
    {
        var path = Put(model);
        var e = Assert.Throws<UnsafeModelException>(() => ModelInspector.Inspect(path, limits ?? new ModelLimits()));
        Assert.Contains(says, e.Message, StringComparison.Ordinal);
        Assert.Contains(path, e.Message, StringComparison.Ordinal);
        return e;
    }

    private string Put(byte[] model)
    {
        var path = Path.Combine(folder, "model.onnx");
        File.WriteAllBytes(path, model);
        return path;
    }
}
