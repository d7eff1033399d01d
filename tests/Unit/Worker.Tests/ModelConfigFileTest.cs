using Sluice.Testing;
using Sluice.Worker.Models;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Tests;

/// <summary>Tests the fields of Triton's <c>config.pbtxt</c> that have an effect.</summary>
public sealed class ModelConfigFileTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-config-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("input { name: \"in\" format: FORMAT_NHWC }", "FORMAT_NHWC")]
    [InlineData("input [ { name: 'in', format: FORMAT_NCHW }, { name: \"mask\" } ]", "FORMAT_NCHW")]
    [InlineData(
        "# input { format: FORMAT_X }\ninput: < format: FORMAT_NHWC; name: \"in\"; "
        + "dims: [3, 224, 224] reshape { shape: [ ] } >",
        "FORMAT_NHWC")]
    [InlineData("parameters [ { key: \"a#b\\\"c\" value: { string_value: \"{\" } } ]", null)]
    [InlineData("", null)]
    public void The_format_of_an_input_is_read(string text, string? format) =>
        Assert.Equal(format, Read(text).Formats.GetValueOrDefault("in"));

    [Theory]
    [InlineData(
        "\ninput { name: \"in\" format: NCHW }",
        "config.pbtxt: line 2: input.format is 'NCHW'; expected one of FORMAT_NONE, FORMAT_NHWC, FORMAT_NCHW")]
    [InlineData(
        "input { name: \"image\" format: FORMAT_NCHW }",
        "config.pbtxt: line 1: input.name is 'image'; expected one of 'in', 'mask'")]
    [InlineData("input { format: FORMAT_NCHW }", "config.pbtxt: line 1: input.name is ''")]
    [InlineData("input [ {", "config.pbtxt: line 1 has the file's end; expected")]
    [InlineData("name: \"a\nplatform: \"b\"", "config.pbtxt: line 1 has a string without its end")]
    [InlineData("name \"a\"", "config.pbtxt: line 1 has \"a\"; expected ':' after name")]
    [InlineData("name: }", "config.pbtxt: line 1 has }; expected a value of name")]
    public void An_error_contains_the_line(string text, string says) =>
        Assert.StartsWith(
            says,
            Assert.Throws<InvalidDataException>(() => Read(text)).Message,
            StringComparison.Ordinal);

    [Fact]
    public void The_nesting_of_messages_is_limited() =>
        Assert.Contains(
            "at most 32",
            Assert.Throws<InvalidDataException>(() => Read(string.Concat(Enumerable.Repeat("a {", 100)))).Message,
            StringComparison.Ordinal);

    [Trait("Needs", "publish")]
    [Fact]
    public async Task An_invalid_file_ends_the_worker_with_the_reason()
    {
        TinyModel.Put(folder, "image", TinyModel.Identity("FP32", -1, 3, 2, 2));
        await File.WriteAllTextAsync(
            Path.Combine(folder, "image", "config.pbtxt"),
            "input { name: \"in\" format: NCHW }");
        await using var process = WorkerProcess.Launch(folder);
        Assert.Equal(3, await process.ExitAsync());
        Assert.Contains("config.pbtxt: line 1: input.format is 'NCHW'", process.Output, StringComparison.Ordinal);
    }

    private ModelConfigFile Read(string text)
    {
        var version = Directory.CreateDirectory(Path.Combine(folder, "m", "1")).FullName;
        File.WriteAllText(Path.Combine(folder, "m", "config.pbtxt"), text);
        TensorSpec[] inputs =
        [
            new("in", DataType.FromName("FP32")!, [-1, 3, 2, 2]),
            new("mask", DataType.FromName("BOOL")!, [-1]),
        ];
        return ModelConfigFile.Read(Path.Combine(version, "model.onnx"), inputs);
    }
}
