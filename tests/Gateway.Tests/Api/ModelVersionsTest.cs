using Sluice.Core.Endpoints;
using Sluice.Core.Workers;
using Sluice.Gateway.Api;
using Endpoint = Sluice.Core.Endpoints.Endpoint;

namespace Sluice.Gateway.Tests.Api;

/// <summary>What the model repository says of versions, and where only a worker knows.</summary>
public sealed class ModelVersionsTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-versions-").FullName;
    private readonly ModelVersions versions;

    public ModelVersionsTest()
    {
        foreach (var version in new[] { "2", "10", "notes", "0" }) Directory.CreateDirectory(Path.Combine(folder, "m", version));
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
    public void The_newest_version_is_served_unless_settings_say_otherwise(string version, bool served)
    {
        Assert.Equal(served, versions.Serves(Deployment(), "m", version));
        Assert.Equal(10, versions.Newest(Deployment(), "m"));
    }

    [Theory]
    [InlineData("2", null)]
    [InlineData("10", null)]
    [InlineData("9", false)]
    public void Where_settings_name_the_versions_only_a_missing_one_is_known(string version, bool? served)
    {
        var deployment = Deployment(env: "all");
        Assert.Equal(served, versions.Serves(deployment, "m", version));
        Assert.Null(versions.Newest(deployment, "m"));
    }

    [Fact]
    public void Of_other_workers_and_models_elsewhere_nothing_is_known()
    {
        Assert.Null(versions.Serves(Deployment(command: "vllm"), "m", "9"));
        Assert.Null(versions.Serves(Deployment("elsewhere"), "elsewhere", "9"));
        Assert.Null(versions.Serves(Deployment("m"), "other", "1"));
    }

    private static Deployment Deployment(string model = "m", string? env = null, string? command = null) => new(
        new Endpoint
        {
            Id = model, Template = "t", Env = env is null ? new Dictionary<string, string>() : new Dictionary<string, string> { ["SLUICE_MODEL_VERSIONS"] = env },
        },
        new Template { Name = "t", Command = command is null ? [] : [command] });
}
