using Sluice.Worker.Models;
using Sluice.Worker.Serving;

namespace Sluice.Worker.Tests;

/// <summary>The versions of a model in the repository that a worker serves.</summary>
public sealed class ModelVersionsTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-versions-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void A_listed_version_that_does_not_exist_is_reported_with_those_that_exist()
    {
        foreach (var version in new[] { "10", "2" })
        {
            Directory.CreateDirectory(Path.Combine(folder, "model", version));
            File.WriteAllText(Path.Combine(folder, "model", version, "model.onnx"), "");
        }

        var e = Assert.Throws<InvalidOperationException>(
            () => new ModelRepository(folder, ["model"], new VersionPolicy(0, [7, 8]), false,
                (_, _, _) => throw new InvalidOperationException("no version is loaded")).Load());
        Assert.Contains(
            "SLUICE_MODEL_VERSIONS is '7,8'; expected one of 2, 10", e.Message, StringComparison.Ordinal);
    }
}
