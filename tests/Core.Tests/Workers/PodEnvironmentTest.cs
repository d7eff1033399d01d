using Sluice.Core.Endpoints;
using Sluice.Core.Workers;

namespace Sluice.Core.Tests.Workers;

/// <summary>Which models a pod is started with.</summary>
public sealed class PodEnvironmentTest
{
    [Theory]
    [InlineData(null, "", "e")]
    [InlineData("none", "", "e")]
    [InlineData("explicit", "", null)]
    [InlineData("explicit", "digits,embed", "digits,embed")]
    public void An_endpoints_id_is_no_model_where_models_are_loaded_by_requests(string? control, string models, string? started)
    {
        var endpoint = new Endpoint { Id = "e", Template = "t", Models = models.Split(',', StringSplitOptions.RemoveEmptyEntries) };
        var template = new Template { Name = "t", Env = control is null ? [] : new Dictionary<string, string> { ["SLUICE_MODEL_CONTROL"] = control } };
        var env = PodEnvironment.Make(new PodOrder(new Deployment(endpoint, template), "e-1"), "models", 1, "token");
        Assert.Equal(started, env.GetValueOrDefault("SLUICE_MODELS"));
    }

    [Fact]
    public void Models_that_the_environment_names_stay()
    {
        var env = new Dictionary<string, string> { ["SLUICE_MODEL_CONTROL"] = "explicit", ["SLUICE_MODELS"] = "other" };
        var order = new PodOrder(new Deployment(new Endpoint { Id = "e", Template = "t", Env = env }, new Template { Name = "t" }), "e-1");
        Assert.Equal("other", PodEnvironment.Make(order, "models", 1, "token")["SLUICE_MODELS"]);
    }
}
