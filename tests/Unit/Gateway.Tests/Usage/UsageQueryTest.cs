using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Sluice.Domain.Usage;
using Sluice.Gateway.Usage;

namespace Sluice.Gateway.Tests.Usage;

/// <summary>The parameters of reports, prices, and CSV.</summary>
public sealed class UsageQueryTest
{
    private static readonly DateTimeOffset Now = new(2026, 11, 30, 9, 10, 0, TimeSpan.Zero);

    [Fact]
    public void The_default_is_this_month_by_day_and_endpoint()
    {
        var (query, _) = Read("");
        Assert.Equal(new UsageQuery(UsageGroup.Endpoint, UsageStep.Day,
            new DateTimeOffset(2026, 11, 1, 0, 0, 0, TimeSpan.Zero), Now, false, "", ""), query);
        (query, _) = Read("?groupBy=tag&step=hour&since=2026-11-30T05:20:00Z&format=csv&endpoint=e&key=k");
        Assert.Equal(new UsageQuery(UsageGroup.Tag, UsageStep.Hour,
            new DateTimeOffset(2026, 11, 30, 5, 0, 0, TimeSpan.Zero), Now, true, "e", "k"), query);
    }

    [Theory]
    [InlineData("?groupBy=team", "groupBy is 'team'; expected key, endpoint, model or tag.")]
    [InlineData("?groupBy=1", "groupBy is '1'; expected key, endpoint, model or tag.")]
    [InlineData("?step=week", "step is 'week'; expected hour, day or month.")]
    [InlineData("?format=xml", "format is 'xml'; expected json or csv.")]
    [InlineData("?until=9999-12-31T23:30:00Z&since=9999-12-31T00:00:00Z",
        "until is '9999-12-31T23:30:00Z'; expected a time until tomorrow.")]
    [InlineData("?since=2026-11-01&since=2026-11-02",
        "since is '2026-11-01,2026-11-02'; expected a time like 2026-11-30T00:00:00Z.")]
    [InlineData("?since=never", "since is 'never'; expected a time like 2026-11-30T00:00:00Z.")]
    [InlineData("?until=2026-01-01T00:00:00Z", "until is '2026-01-01T00:00:00Z'; expected a time after since.")]
    [InlineData("?step=hour&since=2020-01-01T00:00:00Z",
        "step is 'hour'; expected a larger one, or a later since: a report has at most 1000 steps.")]
    public void Wrong_parameters_are_named(string query, string error) => Assert.Equal((null, error), Read(query));

    [Fact]
    public void Csv_quotes_what_would_change_its_form_or_run_in_a_spreadsheet()
    {
        var lines = UsageCsv.Write([View("a,\"b\""), View("=1+1"), View(null)]).Split("\r\n");
        Assert.StartsWith("at,group,requests,", lines[0], StringComparison.Ordinal);
        Assert.Equal("2026-11-30T09:10:00Z,\"a,\"\"b\"\"\",1,2,3,4,5,6,7,8,9,10,11,12,13,1.5,2.5,3.5,0.25,0", lines[1]);
        Assert.StartsWith("2026-11-30T09:10:00Z,'=1+1,", lines[2], StringComparison.Ordinal);
        Assert.StartsWith("2026-11-30T09:10:00Z,,", lines[3], StringComparison.Ordinal);
        Assert.All(lines[..4],
            l => Assert.Equal(20, l.Replace("a,\"\"b", "", StringComparison.Ordinal).Split(',').Length));
    }

    [Fact]
    public void Each_invalid_field_of_prices_is_named()
    {
        var (table, errors) = PriceFields.Read(System.Text.Json.Nodes.JsonNode.Parse(
            """
            {"currency":"EUR","prices":[
              {"gpu":"H100","from":"2026-12-01T00:00:00Z","perHour":2.5},{"gpu":"cpu","perHour":0}]}
            """));
        Assert.Empty(errors);
        Assert.Equal(
            [
                new Price("H100", new DateTimeOffset(2026, 12, 1, 0, 0, 0, TimeSpan.Zero), 2.5),
                new Price("cpu", default, 0),
            ],
            table.Prices);
        (_, errors) = PriceFields.Read(System.Text.Json.Nodes.JsonNode.Parse(
            """{"currency":"euro","prices":[{"gpu":"","from":1,"perHour":-1,"more":1},3],"more":1}"""));
        Assert.Equal(
            ["more", "currency", "prices[0].more", "prices[0].gpu", "prices[0].from", "prices[0].perHour", "prices[1]"],
            errors.Select(e => e.Field));
        Assert.Equal("currency is \"euro\"; expected three upper-case letters, like \"EUR\"", errors[1].ToString());
        Assert.Equal("(all)", Assert.Single(PriceFields.Read(null).Errors).Field);
    }

    private static UsageView View(string? group) => new(Now, group, 1, 2, new UsageJobs(3, 4, 5, 6), 7, 8,
        new UsageTokens(9, 10, 11, 12), 13, new UsageSeconds(1.5, 2.5, 3.5), 0.25, 0);

    private static (UsageQuery? Query, string Error) Read(string query) =>
        UsageQuery.Read(new QueryCollection(QueryHelpers.ParseQuery(query)), Now);
}
