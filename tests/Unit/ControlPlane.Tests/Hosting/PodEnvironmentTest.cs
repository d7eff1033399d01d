using Sluice.Domain.Declarations;
using Sluice.Hosting;

namespace Sluice.ControlPlane.Tests.Hosting;

/// <summary>The variables that a pod is started with.</summary>
public sealed class PodEnvironmentTest
{
    [Theory]
    [InlineData(null, "", "e")]
    [InlineData("none", "", "e")]
    [InlineData("explicit", "", null)]
    [InlineData("explicit", "digits,embed", "digits,embed")]
    public void The_endpoint_id_is_not_a_model_when_requests_load_the_models(
        string? control,
        string models,
        string? started)
    {
        string[] names = models.Split(',', StringSplitOptions.RemoveEmptyEntries);
        var endpoint = new Endpoint { Id = "e", Template = "t", Models = names };
        var variables = new Dictionary<string, string>();
        if (control is not null) variables["SLUICE_MODEL_CONTROL"] = control;
        var template = new Template { Name = "t", Env = variables };
        var order = new PodSpec(new Deployment(endpoint, template), "e-1");
        var env = PodEnvironment.Build(order, "models", 1, "token");
        Assert.Equal(started, env.GetValueOrDefault("SLUICE_MODELS"));
    }

    [Fact]
    public void Models_that_the_environment_lists_are_kept()
    {
        var env = new Dictionary<string, string>
        {
            ["SLUICE_MODEL_CONTROL"] = "explicit",
            ["SLUICE_MODELS"] = "other",
        };
        var endpoint = new Endpoint { Id = "e", Template = "t", Env = env };
        var order = new PodSpec(new Deployment(endpoint, new Template { Name = "t" }), "e-1");
        Assert.Equal("other", PodEnvironment.Build(order, "models", 1, "token")["SLUICE_MODELS"]);
    }

    [Theory]
    [InlineData("", "", "glibc.malloc.hugetlb=1")]
    [InlineData("", "glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0")]
    [InlineData("python3", "", null)]
    public void Only_the_built_in_worker_gets_huge_pages_and_the_template_can_change_it(
        string command,
        string declared,
        string? expected)
    {
        var variables = new Dictionary<string, string>();
        if (declared.Length > 0) variables["GLIBC_TUNABLES"] = declared;
        string[] words = command.Length > 0 ? [command] : [];
        var template = new Template { Name = "t", Command = words, Env = variables };
        var order = new PodSpec(new Deployment(new Endpoint { Id = "e", Template = "t" }, template), "e-1");
        var env = PodEnvironment.Build(order, "models", 1, "token");
        Assert.Equal(expected, env.GetValueOrDefault("GLIBC_TUNABLES"));
    }
}
