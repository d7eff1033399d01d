using Sluice.Domain.Declarations;
using Sluice.Gateway.OpenInference;
using Sluice.Hosting.Processes;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Tests.Api;

/// <summary>
/// Tests which model versions the gateway derives from the model repository, and which only a worker can determine.
/// </summary>
public sealed class ModelVersionsTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-versions-").FullName;
    private readonly ModelVersions versions;

    public ModelVersionsTest()
    {
        foreach (var version in new[] { "2", "10", "notes", "0" })
            Directory.CreateDirectory(Path.Combine(folder, "m", version));
        Directory.CreateDirectory(Path.Combine(folder, "other", "1"));
        versions = new ModelVersions(new BuiltInWorker([], folder));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("10", true)]
    [InlineData("2", false)]
    [InlineData("9", false)]
    [InlineData("0", false)]
    [InlineData("notes", false)]
    [InlineData("-1", false)]
    [InlineData("99999999999", false)]
    public void The_newest_version_is_served_by_default(string version, bool served)
    {
        Assert.Equal(served, versions.Serves(Deployment(), "m", version));
        Assert.Equal(10, versions.Newest(Deployment(), "m"));
    }

    [Theory]
    [InlineData("2", null)]
    [InlineData("10", null)]
    [InlineData("9", false)]
    public void With_configured_versions_only_a_missing_version_is_known(string version, bool? served)
    {
        var deployment = Deployment(env: "all");
        Assert.Equal(served, versions.Serves(deployment, "m", version));
        Assert.Null(versions.Newest(deployment, "m"));
    }

    [Fact]
    public void Versions_of_other_workers_and_of_models_outside_the_repository_are_unknown()
    {
        Assert.Null(versions.Serves(Deployment(command: "vllm"), "m", "9"));
        Assert.Null(versions.Serves(Deployment("elsewhere"), "elsewhere", "9"));
        Assert.Null(versions.Serves(Deployment("m"), "other", "1"));
    }

    private static Deployment Deployment(string model = "m", string? env = null, string? command = null)
    {
        var variables = new Dictionary<string, string>();
        if (env is not null) variables["SLUICE_MODEL_VERSIONS"] = env;
        return new Deployment(
            new Endpoint { Id = model, Template = "t", Env = variables },
            new Template { Name = "t", Command = command is null ? [] : [command] });
    }
}
