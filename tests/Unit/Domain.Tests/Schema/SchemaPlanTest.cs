using Sluice.Domain.Schema;

namespace Sluice.Domain.Tests.Schema;

/// <summary>The decision of the leader about the version of the data, and the texts of versions.</summary>
public sealed class SchemaPlanTest
{
    [Theory]
    // A gateway without an announcement holds the version.
    [InlineData("2", "3 -", 3, null)]
    [InlineData("2", "3 3", 3, "Prepare 2>3")]
    [InlineData("2>3", "3 3", 3, "Activate 3")]
    // A gateway of an earlier build was starting when the version was prepared.
    [InlineData("2>3", "3 -", 3, "Withdraw 2")]
    [InlineData("3", "3 3", 3, null)]
    // An earlier build that runs although it should not changes nothing.
    [InlineData("3", "3 -", 3, null)]
    // One version after the other, up to what the leader knows.
    [InlineData("2", "5 5", 5, "Prepare 2>3")]
    [InlineData("3", "5 4", 5, "Prepare 3>4")]
    [InlineData("4", "5 4", 5, null)]
    [InlineData("3", "5 5", 3, null)]
    [InlineData("2", "", 3, null)]
    public void The_leader_raises_the_version_when_all_gateways_support_the_next_one(
        string schema, string gateways, int newest, string? expected)
    {
        var step = SchemaPlan.Decide(View(schema, gateways), newest);
        Assert.Equal(expected, step is null ? null : $"{step.Kind} {step.To}");
        if (step is not null) Assert.Equal(schema, step.From.ToString());
    }

    [Theory]
    [InlineData("3", "3 3", 3)]
    [InlineData("2>3", "3 3", 2)]
    [InlineData("3", "3 -", 2)]
    [InlineData("3", "4 4", 3)]
    [InlineData("3", "", 3)]
    public void Formats_of_a_version_are_used_if_it_is_active_and_every_gateway_supports_it(
        string schema, string gateways, int usable) => Assert.Equal(usable, View(schema, gateways).Usable);

    [Theory]
    [InlineData(2, 3, "2", true)]
    [InlineData(2, 3, "2>3", true)]
    [InlineData(2, 3, "3", true)]
    [InlineData(2, 3, "3>4", false)]
    [InlineData(2, 3, "4", false)]
    [InlineData(3, 4, "2", false)]
    [InlineData(2, 2, "2>3", false)]
    public void A_gateway_runs_if_it_supports_the_active_and_the_required_version(
        int oldest, int newest, string schema, bool runs) =>
        Assert.Equal(runs, new SchemaRange(oldest, newest).Supports(SchemaNumber.Parse(schema)!.Value));

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("-2")]
    [InlineData("2.5")]
    [InlineData("3>2")]
    [InlineData("3>3")]
    [InlineData("2>3>4")]
    [InlineData("two")]
    public void Another_text_is_no_version(string text) => Assert.Null(SchemaNumber.Parse(text));

    [Fact]
    public void A_gateway_without_an_announcement_supports_version_2_only()
    {
        Assert.Equal(new SchemaRange(2, 2), SchemaRange.Parse(""));
        Assert.Equal(new SchemaRange(2, 3), SchemaRange.Parse("2|3"));
        Assert.Equal(new SchemaRange(2, 3), SchemaRange.Own);
    }

    private static SchemaView View(string schema, string gateways) => new(SchemaNumber.Parse(schema)!.Value,
    [
        .. gateways.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select((newest, i) => new GatewaySchema(
            $"h{i}", SchemaRange.Parse(newest == "-" ? "" : $"2|{newest}"))),
    ]);
}
