using Sluice.Domain.Declarations;
using Sluice.Domain.Jobs;

namespace Sluice.Domain.Tests.Declarations;

/// <summary>Tests the choice between an endpoint and its canaries.</summary>
public sealed class CanaryShareTest
{
    private static readonly Deployment Named = Deploy(new Endpoint { Id = "digits", Template = "onnx" });

    [Theory]
    [InlineData(0, "a")]
    [InlineData(9.99, "a")]
    [InlineData(10, "b")]
    [InlineData(29.99, "b")]
    [InlineData(30, "digits")]
    [InlineData(99.99, "digits")]
    public void A_draw_selects_by_weight(double draw, string expected) =>
        Assert.Equal(
            expected, CanaryShare.Select(Named, [Canary("a", 10), Canary("b", 20)], "digits", draw).Endpoint.Id);

    [Fact]
    public void A_paused_canary_and_one_without_the_model_get_nothing_and_the_others_get_no_more()
    {
        var paused = Canary("a", 10) is var a
            ? a with { Endpoint = a.Endpoint with { Scaling = new ScalePolicy { Pause = Pause.Queue } } } : a;
        Assert.Equal("digits", CanaryShare.Select(Named, [paused, Canary("b", 20)], "digits", 5).Endpoint.Id);
        Assert.Equal("b", CanaryShare.Select(Named, [paused, Canary("b", 20)], "digits", 15).Endpoint.Id);
        Assert.Equal("digits", CanaryShare.Select(Named, [Canary("b", 20)], "letters", 15).Endpoint.Id);
        Assert.Equal("b", CanaryShare.Select(Named, [Canary("b", 20)], null, 15).Endpoint.Id);
    }

    [Fact]
    public void A_model_selects_the_endpoint_that_is_no_canary()
    {
        var catalog = new EndpointCatalog([Named.Template], [Canary("a", 10).Endpoint, Named.Endpoint]);
        Assert.Equal("digits", catalog.FindByModel("digits")!.Endpoint.Id);
        Assert.Equal(["a"], catalog.CanariesOf("digits").Select(d => d.Endpoint.Id));
        Assert.Empty(catalog.CanariesOf("a"));
    }

    [Fact]
    public void A_manifest_may_name_the_endpoint_of_a_canary_after_it()
    {
        var file = new ManifestFile
        {
            Templates = [Named.Template], Endpoints = [Canary("a", 10).Endpoint, Named.Endpoint],
        };
        Assert.Empty(EndpointRules.Check(file));
        Assert.Equal("endpoints[0].canary.of",
            Assert.Single(EndpointRules.Check(file with { Endpoints = [Canary("a", 10).Endpoint] })).Field);
        var own = Named.Endpoint with { Canary = new CanaryPolicy { Of = "b" } };
        Assert.Contains(EndpointRules.Check(file with { Endpoints = [Canary("a", 10).Endpoint, own] }),
            e => e.Field == "endpoints[1].canary.of" && e.Expected.Contains("endpoint a", StringComparison.Ordinal));
        var heavy = file with { Endpoints = [Canary("a", 101).Endpoint, Named.Endpoint] };
        Assert.Equal("endpoints[0].canary.weight", Assert.Single(EndpointRules.Check(heavy)).Field);
    }

    [Fact]
    public void The_id_of_a_job_names_the_endpoint_of_the_canary()
    {
        Assert.Equal("digits-v2", JobId.EndpointOf(JobId.New("digits-v2")));
        Assert.Null(JobId.EndpointOf(JobId.New()));
        Assert.Null(JobId.EndpointOf("a-b"));
        Assert.Null(JobId.EndpointOf(JobId.New() + "-"));
    }

    private static Deployment Canary(string id, int weight) => Deploy(new Endpoint
    {
        Id = id, Template = "onnx", Models = ["digits"], Canary = new CanaryPolicy { Of = "digits", Weight = weight },
    });

    private static Deployment Deploy(Endpoint endpoint) => new(endpoint, new Template { Name = "onnx" });
}
