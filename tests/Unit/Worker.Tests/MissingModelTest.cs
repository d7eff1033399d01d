using Sluice.Worker.Models;
using Sluice.Worker.Serving;

namespace Sluice.Worker.Tests;

/// <summary>The error for a folder without a model says what is expected, and what the folder contains.</summary>
public sealed class MissingModelTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(folder, true);

    [Theory]
    [InlineData(null, "model m: the folder FOLDER/m does not exist; expected FOLDER/m/1/model.onnx")]
    [InlineData("v1/model.onnx",
        "model m: the folder FOLDER/m has no 1/model.onnx (the version is a whole number); it contains v1")]
    [InlineData("1/digits.txt", "model m: the folder FOLDER/m/1 has no model.onnx; it contains digits.txt")]
    public void A_folder_without_a_model_is_described(string? file, string says) =>
        Assert.Equal(says, Load(VersionPolicy.Default, file));

    [Fact]
    public void Versions_that_are_not_selected_are_named() => Assert.Equal(
        "model m: SLUICE_MODEL_VERSIONS is '3'; expected one of 1, 2",
        Load(VersionPolicy.Parse("3")!, "1/model.onnx", "2/model.onnx"));

    private string Load(VersionPolicy policy, params string?[] files)
    {
        foreach (var file in files.OfType<string>().Select(f => Path.Combine(folder, "m", f)))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, "");
        }

        using var repository = new ModelRepository(
            folder, ["m"], policy, false, (_, _, path) => throw new InvalidOperationException(path));
        return Assert.Throws<InvalidOperationException>(repository.Load).Message
            .Replace(folder, "FOLDER", StringComparison.Ordinal);
    }
}
